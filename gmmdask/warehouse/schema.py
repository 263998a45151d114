"""What a table is, as a value, and the two things made from it: SQL that creates it and a page that explains it.

The tables themselves are listed in `gmmdask.warehouse.tables`; nothing here opens a warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gmmdask.errors import InvalidInputError

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "JSON": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "DOUBLE[]": pa.list_(pa.float64()),
}
"""The SQL types in use, all of which PostgreSQL and DuckDB share in some spelling, and what carries them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Its name, unique within the table.
    type : str
        SQL type, a key of `ARROW_TYPES`.
    meaning : str
        What a value says, in words.
    unit : str, default ""
        Unit of a number; empty where there is none.
    nullable : bool, default False
        Whether a value may be absent; `meaning` then says when.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    nullable: bool = False

    @property
    def comment(self) -> str:
        """Meaning and unit in one line."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table: its columns, what a row is, and what identifies one.

    Parameters
    ----------
    name, meaning : str
        Its name, and what one row of it stands for.
    key : tuple of str
        Columns that together identify a row.
    columns : tuple of Column
        In their order.
    indexed : bool, default True
        Whether the warehouse enforces the key. Not for very large tables, whose keys are checked before loading, nor
        where a part of the key may be NULL.
    checks : tuple of str, optional
        Conditions that hold for every row, as SQL.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    indexed: bool = True
    checks: tuple[str, ...] = ()

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow fields."""
        return pa.schema([pa.field(c.name, ARROW_TYPES[c.type], nullable=c.nullable) for c in self.columns])


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A view: what one row stands for, and the query."""

    name: str
    meaning: str
    query: str


def quote(identifier: str) -> str:
    """Return an identifier as SQL takes it.

    Examples
    --------
    >>> print(quote("group"))
    "group"
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text constant as SQL takes it, for the statements that accept no parameters."""
    return "'" + text.replace("'", "''") + "'"


def create_table(table: Table) -> list[str]:
    """Return the statements that create a table and attach its comments."""
    lines = [f"{quote(c.name)} {c.type}{'' if c.nullable else ' NOT NULL'}" for c in table.columns]
    lines += [f"CHECK ({condition})" for condition in table.checks]
    if table.indexed:
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, table.key))})")
    name = quote(table.name)
    return [
        f"CREATE TABLE {name} (\n  " + ",\n  ".join(lines) + "\n)",
        f"COMMENT ON TABLE {name} IS {literal(table.meaning)}",
        *(f"COMMENT ON COLUMN {name}.{quote(c.name)} IS {literal(c.comment)}" for c in table.columns),
    ]


def create_view(view: View) -> list[str]:
    """Return the statements that create or renew a view."""
    name = quote(view.name)
    return [f"CREATE OR REPLACE VIEW {name} AS {view.query}", f"COMMENT ON VIEW {name} IS {literal(view.meaning)}"]


def conform(table: Table, rows: pa.Table | Sequence[Mapping[str, Any]], constants: Mapping[str, Any]) -> pa.Table:
    """Return rows with exactly the columns and types of a table.

    Parameters
    ----------
    table : Table
        What they are meant for.
    rows : pyarrow.Table or sequence of mappings
        Columns by name; nullable ones may be left out.
    constants : mapping
        Values of columns that are the same for all rows; a column given in both must agree.

    Raises
    ------
    InvalidInputError
        A column is unknown, missing, of another type, or holds NULL where it must not; names table and column.
    """
    given = rows if isinstance(rows, pa.Table) else _from_rows(table, rows)
    unknown = sorted(set(given.column_names) - {c.name for c in table.columns})
    if unknown:
        raise InvalidInputError(f"table {table.name} has no column {', '.join(unknown)}; see docs/tables.md")
    columns = [_conform_column(table.name, column, given, constants) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.arrow_schema)


def _from_rows(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    names = sorted({name for row in rows for name in row})
    types = {column.name: ARROW_TYPES[column.type] for column in table.columns}
    return pa.table(
        {name: _array(table.name, name, [row.get(name) for row in rows], types.get(name)) for name in names}
    )


def _array(table: str, column: str, values: list[Any], type_: pa.DataType | None) -> Any:
    try:
        return pa.array(values, type=type_)
    except (pa.ArrowException, TypeError) as error:
        raise InvalidInputError(f"column {column} of table {table} must be {type_}: {error}") from error


def _conform_column(table: str, column: Column, given: pa.Table, constants: Mapping[str, Any]) -> Any:
    type_ = ARROW_TYPES[column.type]
    if column.name in given.column_names:
        values = _cast(table, column, given.column(column.name), type_)
        _require_constant(table, column.name, values, constants)
    else:
        values = pa.chunked_array([_array(table, column.name, [constants.get(column.name)] * given.num_rows, type_)])
    if values.null_count and not column.nullable:
        raise InvalidInputError(
            f"column {column.name} of table {table} is absent or NULL in {values.null_count} of {given.num_rows} rows, "
            f"and must not be: it is {column.meaning}"
        )
    return values


def _cast(table: str, column: Column, values: Any, type_: pa.DataType) -> Any:
    try:
        return values.cast(type_)
    except pa.ArrowException as error:
        raise InvalidInputError(
            f"column {column.name} of table {table} must be {column.type}, not {values.type}: {error}"
        ) from error


def _require_constant(table: str, name: str, values: Any, constants: Mapping[str, Any]) -> None:
    if constants.get(name) is None:
        return
    found = set(pc.unique(values).to_pylist()) - {constants[name]}
    if found:
        raise InvalidInputError(
            f"column {name} of table {table} holds {sorted(map(str, found))}, expected only {constants[name]!r}"
        )


def document(tables: Iterable[Table], views: Iterable[View], introduction: str) -> str:
    """Return the page that explains tables and views, as Markdown."""
    lines = [introduction.strip()]
    for table in tables:
        lines += _document_table(table)
    for view in views:
        lines += ["", f"## View `{view.name}`", "", view.meaning, "", "```sql", view.query.strip(), "```"]
    return "\n".join(lines) + "\n"


def _document_table(table: Table) -> Iterator[str]:
    enforced = "" if table.indexed else " (checked before loading, without an index)"
    yield from ("", f"## `{table.name}`", "", table.meaning, "")
    yield from (f"Identified by {', '.join(f'`{name}`' for name in table.key)}{enforced}.", "")
    yield from ("| column | type | NULL | unit | meaning |", "|---|---|---|---|---|")
    for column in table.columns:
        absent = "yes" if column.nullable else ""
        yield f"| `{column.name}` | {column.type} | {absent} | {column.unit} | {column.meaning.replace('|', chr(92) + '|')} |"

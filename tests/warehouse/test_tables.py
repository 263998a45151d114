"""The tables as data: what is generated from them agrees with them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError
from gmmdask.warehouse.release import conform_tables
from gmmdask.warehouse.schema import ARROW_TYPES, Table, conform, create_table, create_view
from gmmdask.warehouse.tables import TABLES
from gmmdask.warehouse.views import VIEWS, page
from tests.warehouse.examples import publication, small_tables

SAMPLE_VALUES = {
    "VARCHAR": st.text(max_size=5),
    "JSON": st.just("{}"),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False),
    "BOOLEAN": st.booleans(),
    "DATE": st.dates(),
    "DOUBLE[]": st.lists(st.floats(allow_nan=False), max_size=3),
}


@pytest.fixture
def database():
    with duckdb.connect(":memory:") as connection:
        for table in TABLES.values():
            for statement in create_table(table):
                connection.execute(statement)
        for view in VIEWS.values():
            for statement in create_view(view):
                connection.execute(statement)
        yield connection


def test_the_page_of_tables_is_the_one_generated_from_them():
    written = Path(__file__).parents[2] / "docs" / "tables.md"
    assert written.read_text() == page(), "run: python -m gmmdask.warehouse > docs/tables.md"


def test_the_tables_are_those_that_were_promised():
    assert set(TABLES) == {
        "assignments",
        "segments",
        "segment_profiles",
        "outlying_rows",
        "successions",
        "grid",
        "drift",
        "runs",
        "lineage",
        "publications",
    }
    assert set(VIEWS) == {"current_assignments", "current_segments", "champion"}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_database_has_every_column_with_its_type_comment_and_duty(database, table):
    found = database.execute(
        """SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns()
        WHERE table_name = $name ORDER BY column_index""",
        {"name": table.name},
    ).fetchall()
    assert found == [(c.name, c.type, c.nullable, c.comment) for c in table.columns]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_columns_are_named_once_typed_and_explained_and_the_key_is_made_of_them(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert all(column.type in ARROW_TYPES and column.meaning for column in table.columns)
    assert all(column.unit for column in table.columns if column.type in ("DOUBLE", "DOUBLE[]"))
    if table.indexed:
        assert not any(column.nullable for column in table.columns if column.name in table.key)


@settings(max_examples=40)
@given(st.data())
def test_rows_become_arrow_tables_that_say_the_same(data):
    """Equality of values: what goes in by name comes out by name, absent nullable columns as None."""
    table = data.draw(st.sampled_from([TABLES["grid"], TABLES["segments"], TABLES["lineage"]]))
    required = {c.name: SAMPLE_VALUES[c.type] for c in table.columns if not c.nullable}
    optional = {c.name: st.none() | SAMPLE_VALUES[c.type] for c in table.columns if c.nullable}
    rows = data.draw(st.lists(st.fixed_dictionaries(required, optional=optional), max_size=4))
    result = conform(table, rows, {})
    assert result.schema == table.arrow_schema
    assert result.to_pylist() == [{c.name: row.get(c.name) for c in table.columns} for row in rows]


def _grid() -> Table:
    return TABLES["grid"]


def test_an_unknown_column_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"grid has no column bick"):
        conform(_grid(), [{"bick": 1.0}], {})


def test_a_missing_column_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"covariance_type of table grid is absent or NULL in 1 of 1"):
        conform(_grid(), [{"n_components": 1}], {"run_id": "r"})


def test_a_column_of_another_type_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"n_components of table grid must be int64"):
        conform(_grid(), [{"n_components": "two"}], {"run_id": "r"})
    with pytest.raises(InvalidInputError, match=r"n_components of table grid must be BIGINT"):
        conform(_grid(), pa.table({"covariance_type": ["full"], "n_components": ["two"]}), {"run_id": "r"})


def test_rows_of_another_run_are_refused():
    tables = small_tables("run-1", 3)
    tables["grid"][0]["run_id"] = "run-2"
    with pytest.raises(InvalidInputError, match=r"run_id of table grid holds .*run-2.*expected only 'run-1'"):
        conform_tables(publication(), tables)


def test_a_run_cannot_write_its_own_publications():
    with pytest.raises(InvalidInputError, match=r"not to publications"):
        conform_tables(publication(), {"publications": []})

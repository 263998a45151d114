"""Which columns of a lake can be features, and whether a file still has them as the lake knows them.

Speaks Arrow types only; opens nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from gmmdask.errors import InvalidInputError, SchemaError, UnknownNameError

CATEGORY_KINDS = ("text", "integer", "boolean", "null")

_ADVICE = {
    "time": "write it as a number (minutes of the day, days since an event), or carry it beside the features",
    "text": "carry it beside the features to describe segments with it, name it among the categories, or write it as numbers",
}


def kind_of(data_type: pa.DataType) -> str:
    """Return what a type is to a lake: number, text, time, null, or the name of the type itself.

    Booleans, integers of every width, decimals and floats are all numbers: going from one to another between
    partitions is widening, not a change of type. A column of type null holds nothing and fits everywhere.
    """
    if pa.types.is_dictionary(data_type):
        return kind_of(data_type.value_type)
    tests = pa.types
    if any(test(data_type) for test in (tests.is_boolean, tests.is_integer, tests.is_floating, tests.is_decimal)):
        return "number"
    if any(test(data_type) for test in (tests.is_string, tests.is_large_string, tests.is_string_view)):
        return "text"
    if tests.is_temporal(data_type):
        return "time"
    return "null" if tests.is_null(data_type) else str(data_type)


def category_kind_of(data_type: pa.DataType) -> str:
    """Return what a type is to a column of categories: text, integer, boolean or null; else the name of the type.

    A value is known by its text there, and 1, 1.0 and true have different ones: these kinds do not widen.
    """
    if pa.types.is_dictionary(data_type):
        return category_kind_of(data_type.value_type)
    if pa.types.is_integer(data_type):
        return "integer"
    if pa.types.is_boolean(data_type):
        return "boolean"
    kind = kind_of(data_type)
    return str(data_type) if kind == "number" else kind


def is_single(data_type: pa.DataType) -> bool:
    """Return whether float32 holds every value of the type because it is float16 or float32."""
    return pa.types.is_float32(data_type) or pa.types.is_float16(data_type)


def merge_schemas(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return every column once with the first type that is not null, in order of appearance."""
    fields: dict[str, pa.Field[Any]] = {}
    for schema in schemas:
        for column in schema:
            if column.name not in fields or pa.types.is_null(fields[column.name].type):
                fields[column.name] = column
    return pa.schema(list(fields.values()))


def choose_features(
    schema: pa.Schema, features: Sequence[str] | None, excluded: Collection[str], categories: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the features asked for, or all columns of numbers and of the categories named that are not excluded.

    Raises
    ------
    UnknownNameError
        There is no such column.
    SchemaError
        A feature is not numeric, or none is; or categories are neither text, integers nor booleans.
    InvalidInputError
        A feature is named twice, is also the id, the weight or a partition key; or a category is no feature.
    """
    require_names(schema, categories, "categories")
    if features is None:
        fitting = [column.name for column in schema if _is_number(column.type) or column.name in categories]
        chosen = tuple(name for name in fitting if name not in excluded)
        require_names(schema, chosen, "a feature")
        if not chosen:
            raise SchemaError(f"no numeric column to use as a feature; the columns are {_described(schema)}")
        return chosen
    if isinstance(features, str):
        raise InvalidInputError(f"features is the single name {features!r}; give a list of names")
    if not features:
        raise InvalidInputError("features is empty; name at least one column, or leave it out to use all numeric ones")
    require_names(schema, features, "a feature")
    _require_distinct(features, excluded)
    for name in features:
        require_fitting(schema, name, "", is_category=name in categories)
    strangers = [name for name in categories if name not in features]
    if strangers:
        raise InvalidInputError(f"categories {strangers} are not among the features {list(features)}; add them there")
    return tuple(features)


def require_fitting(schema: pa.Schema, name: str, place: str, *, is_category: bool) -> None:
    """Raise SchemaError unless a column can be a feature as it is meant: a number, or categories."""
    if not is_category:
        require_numeric(schema, name, place)
        return
    found = schema.field(name).type
    if category_kind_of(found) not in CATEGORY_KINDS:
        raise SchemaError(
            f"column {name!r}{place} is {found}, and categories are text, integers or booleans: "
            "use it as a number, or write it as text"
        )


def require_names(schema: pa.Schema, names: Iterable[str], role: str) -> None:
    """Raise UnknownNameError for the first name that is not a column, with the nearest one."""
    for name in names:
        if name not in schema.names:
            raise UnknownNameError(f"no column {name!r} for {role}{nearest(name, schema.names)}")
        if schema.names.count(name) > 1:
            raise SchemaError(
                f"column {name!r} for {role} is there {schema.names.count(name)} times; rename all but one"
            )


def require_numeric(schema: pa.Schema, name: str, place: str) -> None:
    """Raise SchemaError if a column is neither numeric nor empty, and say what to do with it."""
    found = schema.field(name).type
    if not _is_number(found) and not pa.types.is_null(found):
        advice = _ADVICE.get(kind_of(found), "leave it out, or write it as numbers")
        raise SchemaError(f"column {name!r}{place} is {found}, and numbers are needed: {advice}")


def require_same_category(schema: pa.Schema, reference: pa.Schema, name: str, partition: str) -> None:
    """Raise SchemaError if a column of categories is text in one file and integers or booleans in another."""
    found, expected = schema.field(name).type, reference.field(name).type
    if len({category_kind_of(found), category_kind_of(expected)} - {"null"}) > 1:
        raise SchemaError(
            f"column {name!r} is {found} in partition {partition!r} and {expected} elsewhere, so its categories would have "
            "other names there: rewrite the file, or put the column under describe"
        )


def require_same(schema: pa.Schema, reference: pa.Schema, names: Iterable[str], partition: str) -> None:
    """Check the columns of one file against those of the lake.

    Raises
    ------
    SchemaError
        A column is missing, is there twice, or is of another kind; widening between numbers is allowed.
    """
    present = Counter(schema.names)
    for name in names:
        if present[name] == 0:
            raise SchemaError(
                f"partition {partition!r} has no column {name!r}{nearest(name, schema.names)}; "
                "rewrite the file or leave the column out"
            )
        if present[name] > 1:
            raise SchemaError(f"partition {partition!r} has column {name!r} {present[name]} times; rewrite the file")
        _require_kind(schema.field(name).type, reference.field(name).type, name, partition)


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the end of a sentence that lists the names there are and the one that is closest."""
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f" (it has {', '.join(names)}){hint}"


def _require_kind(found: pa.DataType, expected: pa.DataType, name: str, partition: str) -> None:
    kinds = {kind_of(found), kind_of(expected)} - {"null"}
    if len(kinds) > 1:
        raise SchemaError(
            f"column {name!r} is {found} in partition {partition!r} and {expected} elsewhere; only numbers may change "
            "their width (integer, decimal, float): rewrite the file or leave the column out"
        )


def _require_distinct(features: Sequence[str], excluded: Collection[str]) -> None:
    twice = [name for name, times in Counter(features).items() if times > 1]
    if twice:
        raise InvalidInputError(f"features named twice: {twice}")
    both = [name for name in features if name in excluded]
    if both:
        raise InvalidInputError(f"{both} cannot be features: each is the id, the weight or a partition key")


def _is_number(data_type: pa.DataType) -> bool:
    return kind_of(data_type) == "number"


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{column.name} ({column.type})" for column in schema)

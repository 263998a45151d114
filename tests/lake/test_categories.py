"""Columns of categories are read as codes of their texts, the same in every file however it stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError, SchemaError, UnknownNameError
from gmmdask.lake import open_lake
from gmmdask.lake.decoding import encode_into
from gmmdask.preparation import category_code
from tests.lake.conftest import WriteLake

TEXTS = st.lists(st.one_of(st.none(), st.sampled_from(["UA", "", "é", "other"]), st.text(max_size=3)), max_size=20)


def expected(texts: list[str | None]) -> list[float]:
    return [np.nan if text is None else category_code(text) for text in texts]


def encoded(column: Any) -> np.ndarray:
    out = np.empty(len(column))
    encode_into(out, column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]))
    return out


@given(texts=TEXTS, cut=st.integers(0, 20), kind=st.sampled_from([pa.string(), pa.large_string()]))
def test_every_cell_has_the_code_of_its_text_wherever_the_column_is_cut(
    texts: list[str | None], cut: int, kind: pa.DataType
) -> None:
    column = pa.array(texts, kind)
    np.testing.assert_array_equal(encoded(column), expected(texts))
    np.testing.assert_array_equal(encoded(pa.chunked_array([column.slice(0, cut), column.slice(cut)])), expected(texts))
    np.testing.assert_array_equal(encoded(column.dictionary_encode()), expected(texts))


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([7, None, -1], pa.int64()), ["7", None, "-1"]),
        (pa.array([7, None, 255], pa.uint8()), ["7", None, "255"]),
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.nulls(2), [None, None]),
        (pa.nulls(2, pa.string()), [None, None]),
        (pa.array([], pa.string()), []),
    ],
)
def test_integers_booleans_and_columns_without_values_are_categories_too(column: Any, texts: list[str | None]) -> None:
    np.testing.assert_array_equal(encoded(column), expected(texts))


def test_codes_stand_among_the_features_in_float64(write_lake: WriteLake) -> None:
    single = pa.table({"x": pa.array([1.5, 2.5], pa.float32()), "carrier": ["UA", None], "id": ["r0", "r1"]})
    lake = open_lake(write_lake({"p.parquet": single}), features=["carrier", "x"], categories=["carrier"])
    (leaf,) = lake.read(0)
    assert leaf.values.dtype == np.float64
    np.testing.assert_array_equal(leaf.values, [expected(["UA", None]), [1.5, 2.5]])
    assert lake.coded == ("carrier",)
    assert lake.partitions[0].nbytes == 2 * 2 * 8
    assert open_lake(write_lake({"p.parquet": single}), categories=["carrier"]).features == ("x", "carrier")


def test_a_file_in_which_the_column_is_empty_fits(write_lake: WriteLake) -> None:
    tables = {
        "dt=2024-01-01/p.parquet": pa.table({"c": pa.nulls(2)}),
        "dt=2024-01-02/p.parquet": pa.table({"c": ["UA", "AA"]}),
    }
    lake = open_lake(write_lake(tables), features=["c"], categories=["c"])
    np.testing.assert_array_equal(next(lake.read(0)).values, [[np.nan, np.nan]])
    np.testing.assert_array_equal(next(lake.read(1)).values, [expected(["UA", "AA"])])


def test_the_fingerprint_tells_numbers_from_categories(write_lake: WriteLake) -> None:
    folder = write_lake({"p.parquet": pa.table({"a": [1, 2]})})
    prints = {open_lake(folder, features=["a"], categories=names).fingerprint for names in ([], ["a"])}
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([1.0, 2.0], "double, and categories are text, integers or booleans"),
        (pa.array([0, 1], pa.date32()), "date32"),
    ],
)
def test_other_types_cannot_be_categories(write_lake: WriteLake, column: Any, told: str) -> None:
    folder = write_lake({"p.parquet": pa.table({"a": column})})
    with pytest.raises(SchemaError, match=told):
        open_lake(folder, features=["a"], categories=["a"])


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([True, False], "'a' is bool in partition 'q.parquet' and int64 elsewhere"),
        (["1", "2"], "'a' is string in partition 'q.parquet' and int64 elsewhere"),
        ([1.0, None], "'a' in partition 'q.parquet' is double, and categories are"),
    ],
)
def test_a_file_that_writes_categories_otherwise_is_refused_by_name(
    write_lake: WriteLake, second: Any, told: str
) -> None:
    folder = write_lake({"p.parquet": pa.table({"a": [1, 2]}), "q.parquet": pa.table({"a": second})})
    lake = open_lake(folder, features=["a"], categories=["a"])
    with pytest.raises(SchemaError, match=told):
        list(lake.read(1))


def test_categories_that_are_no_features_are_refused(write_lake: WriteLake) -> None:
    folder = write_lake({"p.parquet": pa.table({"a": [1, 2], "b": ["x", "y"]})})
    with pytest.raises(InvalidInputError, match=r"categories \['b'\] are not among the features"):
        open_lake(folder, features=["a"], categories=["b"])
    with pytest.raises(UnknownNameError, match="'bb' for categories"):
        open_lake(folder, features=["a"], categories=["bb"])

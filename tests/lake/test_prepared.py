"""A prepared source has the leaves of its source, prepared by the recipe."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from gmmdask.errors import InvalidInputError, SchemaError
from gmmdask.lake import ArraySource, PreparedSource, open_lake
from gmmdask.preparation import Recipe
from tests.lake.conftest import WriteLake

RECIPE = Recipe.affine(features=("a", "b"), centre=np.array([1.0, 0.0]), scale=np.array([2.0, 4.0]))


def test_rows_weights_and_carried_columns_are_dropped_together(write_lake: WriteLake) -> None:
    table = pa.table(
        {
            "id": ["r0", "r1", "r2", "r3", "r4"],
            "a": [1.0, None, 3.0, 5.0, None],
            "b": [4, 4, None, 8, 4],
            "w": [0.5, 1.5, 2.5, 3.5, 4.5],
        }
    )
    lake = open_lake(write_lake({"p.parquet": table}), features=["a", "b"], id_column="id", weight_column="w").carry(
        "id"
    )
    source = PreparedSource(source=lake, recipe=RECIPE)
    first, second = source.read(0)
    np.testing.assert_array_equal(first.values, [[0.0], [1.0]])
    np.testing.assert_array_equal(second.values, [[2.0], [2.0]])
    assert [first.carried["id"].to_pylist(), second.carried["id"].to_pylist()] == [["r0"], ["r3"]]
    assert [first.weights, second.weights] == [[0.5], [3.5]]
    assert [(leaf.index, leaf.start) for leaf in (first, second)] == [(0, 0), (1, 3)]
    assert source.partitions == lake.partitions
    assert [leaf.index for leaf in source.read(0, 1)] == [1]


def test_a_leaf_whose_rows_all_are_dropped_is_still_there() -> None:
    source = PreparedSource(source=ArraySource.of([[np.nan, 1.0]], features=["a", "b"]), recipe=RECIPE)
    (leaf,) = source.read(0)
    assert leaf.values.shape == (2, 0)


def test_infinite_values_are_refused_unless_they_are_to_be_dropped() -> None:
    raw = ArraySource.of([[1.0, 0.0], [np.inf, 0.0]], features=["a", "b"])
    with pytest.raises(InvalidInputError, match="'a' is inf in row 1 of partition 'array'"):
        list(PreparedSource(source=raw, recipe=RECIPE).read(0))
    (leaf,) = PreparedSource(source=raw, recipe=RECIPE, infinite="drop").read(0)
    np.testing.assert_array_equal(leaf.values, [[0.0], [0.0]])


def test_features_in_another_order_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"\['a', 'b'\] and the source has \['b', 'a'\]"):
        PreparedSource(source=ArraySource.of([[1.0, 2.0]], features=["b", "a"]), recipe=RECIPE)


def test_the_fingerprint_follows_the_source_and_the_recipe() -> None:
    one, other = (ArraySource.of([[number, 0.0]], features=["a", "b"]) for number in (1.0, 2.0))
    second = Recipe.affine(features=("a", "b"), centre=np.array([1.0, 0.0]), scale=np.array([2.0, 5.0]))
    sources = [PreparedSource(source=raw, recipe=recipe) for raw in (one, other) for recipe in (RECIPE, second)]
    assert len({source.fingerprint for source in sources}) == 4
    assert pickle.loads(pickle.dumps(sources[0])).fingerprint == sources[0].fingerprint

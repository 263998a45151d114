"""Counts on fixed bins: those of a binary search over the values, however the rows are cut, to the last row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.engine import LocalEngine
from gmmdask.engine.dates import by_date
from gmmdask.engine.witness import SOURCES
from gmmdask.errors import EmptyDataError, InconsistentStatisticsError, InvalidInputError, SchemaError
from gmmdask.monitoring import FeatureBins, NightFeatures, count_leaf, count_rows
from tests.monitoring.test_distances import KINDS, draw

SEEDS = st.integers(0, 2**32 - 1)
COLOURS = ("red", "green", "blue", "grey", None)


def laid_out(seed: int = 0, n: int = 2_000) -> FeatureBins:
    random = np.random.default_rng(seed)
    values = np.array([draw(kind, random, n) for kind in KINDS])
    return FeatureBins.learn(KINDS, values, {"colour": {"green": 5, "red": 9}})


def some_rows(seed: int, n: int, dtype: type = np.float64) -> tuple[np.ndarray, dict]:
    random = np.random.default_rng(seed)
    values = np.array([draw(kind, random, n) * random.choice([0.01, 1.0, 100.0]) for kind in KINDS], dtype=dtype)
    for cell, rate in ((np.nan, 0.1), (np.inf, 0.02), (-np.inf, 0.02), (0.0, 0.1)):
        values[random.random(values.shape) < rate] = cell
    return values, {"colour": pa.array([COLOURS[i] for i in random.integers(0, 5, n)], pa.string())}


def same(left: NightFeatures, right: NightFeatures) -> bool:
    """Equal to the last count."""
    return (
        (left.bins, left.n_rows) == (right.bins, right.n_rows)
        and np.array_equal(left.counts, right.counts)
        and np.array_equal(left.missing, right.missing)
        and all(np.array_equal(left.categories[name], right.categories[name]) for name in left.categories)
    )


@given(SEEDS, st.integers(0, 300), st.sampled_from([np.float64, np.float32]))
def test_counts_are_those_of_a_binary_search(seed: int, n: int, dtype: type) -> None:
    """Also for infinite values, values on edges, and float32; what is NaN is counted apart."""
    bins = laid_out()
    values, carried = some_rows(seed, n, dtype)
    edges = np.concatenate([values[0], bins.edges[0][:n].astype(dtype)])[: max(n, 1)][:n]
    values[0] = edges
    night = count_rows(values, bins, carried)
    for place, (row, own) in enumerate(zip(values, bins.edges, strict=True)):
        found = np.bincount(np.searchsorted(own, row[~np.isnan(row)].astype(np.float64)), minlength=bins.n_bins)
        np.testing.assert_array_equal(night.counts[place], found)
        assert night.missing[place] == np.isnan(row).sum()
    colours = carried["colour"].to_pylist()
    known = [colours.count("green"), colours.count("red")]
    assert night.categories["colour"].tolist() == [*known, n - sum(known) - colours.count(None), colours.count(None)]


@given(SEEDS, st.integers(1, 60))
def test_every_edge_belongs_to_the_bin_below_it(seed: int, n: int) -> None:
    bins = laid_out(seed, n)
    for place, edges in enumerate(bins.edges):
        for shifted, lag in ((edges, 0), (np.nextafter(edges, np.inf), 1)):
            values = np.full((len(KINDS), len(edges)), np.nan)
            values[place] = shifted
            counts = count_rows(values, bins, {"colour": pa.nulls(len(edges), pa.string())}).counts[place]
            expected = np.bincount(np.searchsorted(edges, shifted), minlength=bins.n_bins)
            np.testing.assert_array_equal(counts, expected)
            assert counts[lag] >= 1


@given(SEEDS, st.integers(0, 80), st.lists(st.integers(0, 80), max_size=4), st.randoms(use_true_random=False))
def test_leaves_cut_anywhere_add_up_in_any_order(seed: int, n: int, cuts: list[int], order) -> None:
    """To the last count."""
    bins = laid_out()
    values, carried = some_rows(seed, n)
    at = sorted({0, n, *(min(cut, n) for cut in cuts)})
    parts = [
        count_rows(np.ascontiguousarray(values[:, i:j]), bins, {"colour": carried["colour"].slice(i, j - i)})
        for i, j in pairwise(at)
    ]
    order.shuffle(parts)
    total = NightFeatures.empty(bins)
    for part in parts:
        total = part.combine(total)
    assert same(total, count_rows(values, bins, carried))
    if parts:
        rest = total.without(parts[0])
        assert same(rest.combine(parts[0]), total)


def test_an_engine_counts_every_date_apart() -> None:
    """The sum over dates is that over all rows."""
    source = SOURCES["three dates"]
    leaves = [leaf for partition in range(len(source.partitions)) for leaf in source.read(partition)]
    bins = FeatureBins.learn(source.features, np.concatenate([leaf.values for leaf in leaves], axis=1))
    by_dates = LocalEngine().map_reduce(source, *by_date(source, count_leaf, (bins,)), name="features")
    total = NightFeatures.empty(bins)
    for night in by_dates.summaries.values():
        total = total.combine(night)
    assert list(by_dates.summaries) == ["2013-01-01", "2013-01-02", "2013-01-03"]
    assert same(total, count_rows(np.concatenate([leaf.values for leaf in leaves], axis=1), bins))


def test_training_values_fill_the_bins_evenly_and_deciles_hold_a_tenth() -> None:
    values = np.random.default_rng(0).normal(size=(1, 100_000))
    bins = FeatureBins.learn(["x"], values)
    counts = count_rows(values, bins).counts[0]
    inner = counts[13:-13]
    assert abs(inner - 500).max() <= 1
    below = np.cumsum(counts)[bins.decile_edges[0]]
    np.testing.assert_allclose(below / 100_000, np.arange(1, 10) / 10, atol=1e-4)


def test_a_value_that_fills_a_bin_has_one_of_its_own() -> None:
    """Also in a constant column, where nothing else has a bin."""
    values = np.array([[0.0] * 70 + [float(i) for i in range(1, 31)], [7.0] * 100])
    bins = FeatureBins.learn(["zeros", "constant"], values)
    counts = count_rows(values, bins).counts
    assert 70 in counts[0].tolist()
    assert counts[1][:3].tolist() == [0, 100, 0]
    moved = count_rows(np.array([[-1e-9] * 2, [6.0, 8.0]]), bins).counts
    assert moved[1][:3].tolist() == [1, 0, 1]
    assert bins.spreads[1] == 0.0


def test_only_the_most_frequent_categories_are_counted_by_name() -> None:
    """Of equal counts those first in the alphabet."""
    counts = {f"v{i:02}": 100 - i // 2 for i in range(60)}
    bins = FeatureBins.learn([], np.empty((0, 1)), {"c": counts})
    assert bins.category_names("c") == (*(f"v{i:02}" for i in range(50)), "(other)", "(missing)")


def test_bins_and_counts_come_back_equal_from_their_parts() -> None:
    bins = laid_out()
    again = FeatureBins.from_parts(*bins.to_parts())
    assert again.fingerprint == bins.fingerprint
    assert bins.fingerprint != laid_out(seed=1).fingerprint
    night = count_rows(*(lambda rows: (rows[0], bins, rows[1]))(some_rows(3, 50)))
    assert same(NightFeatures.from_parts(*night.to_parts()), night)
    assert same(count_rows(some_rows(3, 50)[0], again, some_rows(3, 50)[1]), night)


def test_what_does_not_belong_together_is_refused() -> None:
    bins, other = laid_out(), laid_out(seed=1)
    with pytest.raises(InconsistentStatisticsError, match="do not add"):
        NightFeatures.empty(bins).combine(NightFeatures.empty(other))
    with pytest.raises(SchemaError, match="do not fit the 5 features"):
        count_rows(np.zeros((2, 3)), bins, some_rows(0, 3)[1])
    with pytest.raises(SchemaError, match=r"\['colour'\] are not carried"):
        count_rows(np.zeros((5, 3)), bins)
    with pytest.raises(EmptyDataError, match="'b' has no finite value"):
        FeatureBins.learn(["a", "b"], np.array([[1.0, 2.0], [np.nan, np.inf]]))
    with pytest.raises(InvalidInputError, match="do not fit the features"):
        FeatureBins.learn(["a"], np.zeros((2, 3)))
    arrays, facts = bins.to_parts()
    with pytest.raises(InvalidInputError, match="version 0 cannot be read"):
        FeatureBins.from_parts(arrays, {**facts, "version": 0})

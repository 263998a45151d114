"""Pass 0: what it counts, that parts combine, and that the reservoir is a fair and repeatable sample of rows."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from gmmdask.engine import LocalEngine
from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.lake import ArraySource
from gmmdask.preparation import NumericColumn, Recipe
from gmmdask.source import Leaf
from gmmdask.training import reservoir
from gmmdask.training.reservoir import row_keys
from gmmdask.training.survey import Survey, survey_leaf, survey_source
from tests.training.worlds import surveyed, three_clusters


def surveys(
    values: np.ndarray,
    weights: np.ndarray,
    edges: list[int],
    labels: list[str | None],
    imputed: tuple[str, ...] = (),
) -> list[Survey]:
    """Survey consecutive leaves of one partition."""
    return [
        survey_leaf(
            Leaf(
                partition=0,
                index=i,
                start=a,
                values=np.ascontiguousarray(values[:, a:b]),
                weights=weights[a:b],
                carried={"colour": pa.array(labels[a:b], pa.string())},
            ),
            ("x", "y"),
            ("p",),
            7,
            imputed,
        )
        for i, (a, b) in enumerate(pairwise(edges))
    ]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.lists(st.integers(0, 40), max_size=4))
def test_surveys_of_parts_combine_to_the_survey_of_the_whole(seed: int, n: int, cuts: list[int]) -> None:
    """Counts and the sample exactly, moments to rounding, against NumPy on the whole rows."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(2, n)) * 10 + 1e6
    values[random.uniform(size=values.shape) < 0.1] = np.nan
    values[random.uniform(size=values.shape) < 0.02] = np.inf
    weights = random.choice([0.0, 1.0, 2.5], size=n)
    labels = random.choice(["red", "green", "blue"], size=n).tolist()
    edges = [0, *sorted(min(c, n) for c in cuts), n]
    whole = surveys(values, weights, [0, n], labels)[0]
    total = reduce(Survey.combine, surveys(values, weights, edges, labels))
    complete = np.isfinite(values).all(axis=0)
    assert (total.n_rows, total.moments.n_rows) == (n, complete.sum())
    assert total.patterns == whole.patterns
    assert sum(total.patterns.values()) == n
    assert total.categories == whole.categories
    assert total.missing.tolist() == np.isnan(values).sum(axis=1).tolist()
    assert total.infinite.tolist() == np.isinf(values).sum(axis=1).tolist()
    kept = complete & (weights > 0)
    np.testing.assert_array_equal(total.reservoir.ordered().values, values[:, kept])
    np.testing.assert_array_equal(whole.reservoir.ordered().positions[1], np.flatnonzero(kept))
    if kept.any():
        w, x = weights[kept], values[:, kept]
        mean = x @ w / w.sum()
        np.testing.assert_allclose(total.moments.mean, mean, rtol=1e-14)
        np.testing.assert_allclose(total.moments.variance, ((x - mean[:, None]) ** 2) @ w / w.sum(), atol=1e-6)
        assert total.moments.squared_mass == pytest.approx((w**2).sum())


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.lists(st.integers(0, 40), max_size=4))
def test_cells_that_will_be_filled_make_no_row_unusable(seed: int, n: int, cuts: list[int]) -> None:
    """Counts, extremes and sample exactly, moments to rounding, against NumPy on the present cells."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(2, n)) * 10 + 1e6
    values[random.uniform(size=values.shape) < 0.3] = np.nan
    values[random.uniform(size=values.shape) < 0.02] = np.inf
    weights = random.choice([0.0, 1.0, 2.5], size=n)
    labels = random.choice(["red", "green"], size=n).tolist()
    labels[::7] = [None] * len(labels[::7])
    edges = [0, *sorted(min(c, n) for c in cuts), n]
    total = reduce(Survey.combine, surveys(values, weights, edges, labels, imputed=("y",)))
    usable = np.isfinite(values[0]) & ~np.isinf(values[1])
    moments = total.moments
    assert (total.n_rows, moments.n_rows) == (n, usable.sum())
    assert (moments.mass, moments.squared_mass) == (weights[usable].sum(), (weights[usable] ** 2).sum())
    assert total.categories["colour"] == Counter(label for label, kept in zip(labels, usable, strict=True) if kept)
    counted = usable & (weights > 0)
    np.testing.assert_array_equal(total.reservoir.ordered().values, values[:, counted])
    for j in range(2):
        there = counted & ~np.isnan(values[j])
        w, x = weights[there], values[j, there]
        assert moments.present[j] == w.sum()
        assert (total.minimum[j], total.maximum[j]) == (x.min(initial=np.inf), x.max(initial=-np.inf))
        if len(x):
            assert moments.mean[j] == pytest.approx(w @ x / w.sum(), rel=1e-14)
            assert moments.variance[j] == pytest.approx(w @ (x - w @ x / w.sum()) ** 2 / w.sum(), abs=1e-6)


def test_a_prepared_survey_of_filled_and_bent_columns_keeps_the_exact_rows_and_weights() -> None:
    """Moments to rounding, for the sample holds all rows; weights of 2 count as repeated rows."""
    values = three_clusters(300)
    values[::9, 1] = np.nan
    recipe = Recipe(
        columns=(
            NumericColumn(name="x0", transform="arcsinh", middle=1.0, spread=2.0, centre=0.5, scale=3.0),
            NumericColumn(name="x1", fill=4.0, fill_rule="constant"),
        )
    )
    source = ArraySource.of(values, np.full(300, 2.0))
    prepared = survey_source(source, LocalEngine(), imputed=("x1",)).prepared(recipe)
    expected, kept = recipe.apply(values.T)
    assert kept.all()
    moments = prepared.moments
    assert (moments.n_rows, moments.mass, moments.squared_mass) == (300, 600.0, 1200.0)
    np.testing.assert_allclose(moments.mean, expected.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, expected.var(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(prepared.minimum, expected.min(axis=1))
    prepared.require_complete()


def test_the_reservoir_is_the_same_rows_for_any_partitioning_and_fair_over_sorted_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row numbers of a sample of 2,000 from 50,000 sorted rows pass a uniformity test; parts change no row."""
    monkeypatch.setattr("gmmdask.training.survey.RESERVOIR_ROWS", 2000)
    values = np.sort(np.random.default_rng(0).normal(size=(2, 50_000)), axis=1)
    weights, labels = np.ones(50_000), ["x"] * 50_000
    whole = surveys(values, weights, [0, 50_000], labels)[0].reservoir.ordered()
    parts = surveys(values, weights, [0, 7, 20_000, 20_001, 50_000], labels)
    assert reduce(Survey.combine, parts).reservoir.ordered().values.tobytes() == whole.values.tobytes()
    assert whole.n_rows == 2000
    assert kstest(whole.positions[1] / 50_000, "uniform").pvalue > 0.01
    assert sorted(whole.shuffled().tolist()) == list(range(2000))


def test_keys_are_uniform_and_differ_by_seed_and_partition() -> None:
    """Leading byte of 100,000 keys against a uniform distribution."""
    keys = row_keys(1, "a", 0, 100_000)
    counts = np.bincount((keys >> np.uint64(56)).astype(int), minlength=256)
    assert chisquare(counts).pvalue > 0.001
    np.testing.assert_array_equal(row_keys(1, "a", 500, 3), keys[500:503])
    assert not np.isin(row_keys(2, "a", 0, 1000), keys).any()
    assert not np.isin(row_keys(1, "b", 0, 1000), keys).any()
    assert reservoir.RESERVOIR_ROWS == 100_000


def test_preparing_a_survey_equals_surveying_the_prepared() -> None:
    """To rounding: moments, extremes and sample."""
    values = three_clusters() * [3.0, 0.1] + [100.0, -5.0]
    recipe = Recipe.affine(features=("x0", "x1"), centre=np.array([100.0, -5.0]), scale=np.array([3.0, 0.1]))
    with surveyed(values) as (source, raw):
        recipe = Recipe.affine(features=source.features, centre=recipe.centre, scale=recipe.scale)
        prepared = raw.prepared(recipe)
    with surveyed((values - recipe.centre) / recipe.scale) as (_, expected):
        np.testing.assert_allclose(prepared.moments.mean, expected.moments.mean, rtol=1e-10)
        np.testing.assert_allclose(prepared.moments.variance, expected.moments.variance, rtol=1e-10)
        np.testing.assert_allclose(prepared.minimum, expected.minimum, rtol=1e-10)
        np.testing.assert_allclose(prepared.reservoir.values, expected.reservoir.values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_incomplete_data_are_refused_with_the_column(bad: float, word: str) -> None:
    values = three_clusters(30)
    values[4, 1] = bad
    with surveyed(values) as (source, survey), pytest.raises(InvalidInputError, match=f"{word}.*{source.features[1]}"):
        survey.require_complete()


def test_data_without_weight_are_refused() -> None:
    with (
        surveyed(three_clusters(30), np.zeros(30)) as (_, survey),
        pytest.raises(EmptyDataError, match="positive weight"),
    ):
        survey.require_complete()


def test_categories_beyond_the_limit_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmmdask.training.survey.CATEGORY_LIMIT", 3)
    labels = ["a"] * 5 + ["b"] * 4 + ["c", "d", "e"]
    survey, other = surveys(np.zeros((2, 12)), np.ones(12), [0, 11, 12], labels)
    counts = survey.combine(other).categories["colour"]
    assert counts["a"] == 5
    assert sum(counts.values()) == 12
    assert len(counts) == 3

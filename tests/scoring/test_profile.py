"""Segment sums are those of the rows, however the rows are cut into leaves."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.scoring import SegmentSums, combine_sums, score_leaf
from gmmdask.scoring import profile as profiles
from gmmdask.scoring.profile import OTHER_CATEGORIES, profile_leaf
from tests.scoring.worlds import made_up_model, made_up_rows

MODEL = made_up_model()
NAMES = ("red", "green", None)


def colours(n: int, seed: int = 3) -> list[str | None]:
    return [NAMES[i] for i in np.random.default_rng(seed).integers(0, 3, n)]


def sums_of(values: np.ndarray, colour: list[str | None]) -> SegmentSums:
    described = {"colour": pa.array(colour, pa.string())}
    return profile_leaf(values, score_leaf(values, MODEL), MODEL, described)


def assert_sums_equal(left: SegmentSums, right: SegmentSums) -> None:
    for name in ("statuses", "rows", "certain", "anomalies", "minimum", "maximum"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in ("probability", "log_density", "first", "second"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-9, atol=1e-9)
    counted = [{v: c.tolist() for v, c in sums.categories["colour"].items() if c.any()} for sums in (left, right)]
    assert counted[0] == counted[1]


def test_sums_are_those_of_a_loop_over_rows():
    """Counts equal, moments to rounding."""
    values, colour = made_up_rows(MODEL, 500, holes=0.03), colours(500)
    scores = score_leaf(values, MODEL)
    sums = sums_of(values, colour)
    scored = np.flatnonzero(scores.scored)
    assert sums.statuses.tolist() == [int((scores.status == code).sum()) for code in range(4)]
    for k in range(3):
        own = [row for row, component in zip(scored, scores.component, strict=True) if component == k]
        at = scores.component == k
        block = values[:, own]
        assert sums.rows[k] == len(own)
        assert sums.certain[k] == sum(p >= 0.9 for p in scores.probability[at])
        assert sums.anomalies[k] == sum(density < -8.0 for density in scores.log_density[at])
        np.testing.assert_allclose(sums.mean()[k], block.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(sums.standard_deviation()[k], block.std(axis=1), rtol=1e-10)
        np.testing.assert_array_equal(sums.minimum[k], block.min(axis=1))
        np.testing.assert_array_equal(sums.maximum[k], block.max(axis=1))
        counted = Counter(colour[row] or "(missing)" for row in own)
        assert {name: int(c[k]) for name, c in sums.categories["colour"].items() if c[k]} == dict(counted)


@given(st.integers(0, 2**20), st.integers(0, 80), st.lists(st.integers(0, 80), max_size=4))
def test_sums_of_leaves_cut_anywhere_add_up(seed, n, cuts):
    """Counts and extremes equal, sums to rounding."""
    values, colour = made_up_rows(MODEL, n, seed, holes=0.05), colours(n, seed)
    at = sorted({0, n, *(min(cut, n) for cut in cuts)})
    parts = [sums_of(np.ascontiguousarray(values[:, start:stop]), colour[start:stop]) for start, stop in pairwise(at)]
    assert_sums_equal(combine_sums(parts, SegmentSums.empty(MODEL, ["colour"])), sums_of(values, colour))


def test_nothing_is_the_identity_of_addition():
    sums = sums_of(made_up_rows(MODEL, 50), colours(50))
    empty = SegmentSums.empty(MODEL, ["colour"])
    assert_sums_equal(sums.combine(empty), sums)
    assert_sums_equal(empty.combine(sums), sums)


def test_all_segments_together_are_the_rows_themselves():
    values = made_up_rows(MODEL, 400)
    whole = sums_of(values, colours(400)).whole()
    np.testing.assert_allclose(whole.mean()[0], values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(whole.standard_deviation()[0], values.std(axis=1), rtol=1e-10)
    assert whole.rows.tolist() == [400]


def test_moments_far_from_zero_keep_their_digits():
    model = made_up_model()
    values = made_up_rows(model, 300)
    shifted = values + 1e9
    recipe = type(model.recipe).affine(
        features=model.recipe.features, centre=model.recipe.centre + 1e9, scale=model.recipe.scale
    )
    moved = type(model)(
        recipe=recipe, parameters=model.parameters, reference=model.reference, segment_ids=model.segment_ids
    )
    near = profile_leaf(values, score_leaf(values, model), model, {}).standard_deviation()
    far = profile_leaf(shifted, score_leaf(values, model), moved, {}).standard_deviation()
    np.testing.assert_allclose(far, near, rtol=1e-6)


def test_a_segment_without_rows_has_no_mean():
    sums = SegmentSums.empty(MODEL)
    assert np.isnan(sums.mean()).all()
    assert np.isnan(sums.standard_deviation()).all()


def test_rare_values_beyond_the_limit_are_counted_together(monkeypatch):
    monkeypatch.setattr(profiles, "CATEGORY_LIMIT", 3)
    values = made_up_rows(MODEL, 12)
    names = ["a"] * 5 + ["b"] * 4 + ["c", "d", "e"]
    counts = profile_leaf(values, score_leaf(values, MODEL), MODEL, {"letter": pa.array(names)}).categories["letter"]
    assert {name: int(count.sum()) for name, count in counts.items()} == {"a": 5, "b": 4, OTHER_CATEGORIES: 3}


@pytest.mark.parametrize("column", [pa.array([1, 1, 2]), pa.array(["1", "1", "2"]).dictionary_encode()])
def test_described_columns_of_any_type_are_counted_as_text(column):
    values = made_up_rows(MODEL, 3)
    counts = profile_leaf(values, score_leaf(values, MODEL), MODEL, {"c": column}).categories["c"]
    assert {name: int(count.sum()) for name, count in counts.items()} == {"1": 2, "2": 1}

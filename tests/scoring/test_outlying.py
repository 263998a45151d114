"""The rows that lie farthest outside are those of a full sort, however the rows are cut into leaves."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.scoring import OutlyingRow, farthest, score_leaf
from gmmdask.scoring.outlying import KEPT_ROWS, outlying_rows
from tests.scoring.worlds import FEATURES, IDS, expected_scores, made_up_model, made_up_rows

MODEL = made_up_model()
DAY = date(2024, 1, 1)


def outlying(values: np.ndarray, first: int = 0) -> tuple[OutlyingRow, ...]:
    ids = pa.array(np.arange(first, first + values.shape[1]))
    described = {"colour": pa.array([None if own % 2 else f"colour {own}" for own in ids.to_pylist()])}
    return outlying_rows(values, score_leaf(values, MODEL), MODEL, described, (ids, DAY))


@given(st.integers(0, 2**20), st.integers(1, 90), st.lists(st.integers(0, 90), max_size=4))
def test_rows_of_leaves_cut_anywhere_are_those_of_lowest_density(seed, n, cuts):
    """Ids and their order equal, densities and segments to rounding."""
    values = made_up_rows(MODEL, n, seed, holes=0.05)
    at = sorted({0, n, *(min(cut, n) for cut in cuts)})
    found = farthest(row for a, b in pairwise(at) for row in outlying(np.ascontiguousarray(values[:, a:b]), a))
    scored = np.flatnonzero(np.isfinite(values).all(axis=0))
    density, posteriors = expected_scores(values[:, scored], MODEL)
    ranked = np.argsort(density, kind="stable")[:KEPT_ROWS]
    assert [row.id for row in found] == [str(own) for own in scored[ranked]]
    np.testing.assert_allclose([row.log_density for row in found], density[ranked], rtol=1e-9)
    assert [row.segment_id for row in found] == [IDS[k] for k in posteriors[ranked].argmax(axis=1)]


def test_values_are_those_of_the_lake_with_what_describes_them():
    values = made_up_rows(MODEL, 60)
    values[1, 17] = 1e6
    first = outlying(values)[0]
    assert (first.dt, first.id) == (DAY, "17")
    assert first.values == {**dict(zip(FEATURES, values[:, 17].tolist(), strict=True)), "colour": None}
    values[1, 18] = -1e7
    assert outlying(values)[0].values["colour"] == "colour 18"


def test_a_leaf_without_rows_that_can_be_scored_has_none():
    assert outlying(np.full((3, 4), np.nan)) == outlying(np.empty((3, 0))) == ()

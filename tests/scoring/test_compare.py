"""Two models on the same rows: only what both can score counts, in original units, whichever way it is split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.engine import LocalEngine
from gmmdask.lake import ArraySource
from gmmdask.scoring.compare import compare_leaf, compare_models
from gmmdask.source import Leaf
from tests.scoring.worlds import expected_scores, made_up_model, made_up_rows

CHAMPION = made_up_model(0)
CHALLENGER = made_up_model(1, constant=("b",))
"""It leaves out a column, so it scores rows that the champion cannot."""


def leaf_of(values: np.ndarray) -> Leaf:
    return Leaf(partition=0, index=0, start=0, values=values, weights=None, carried={})


@given(st.integers(0, 2**20), st.integers(0, 60))
def test_the_sums_are_those_of_the_rows_that_both_can_score(seed, n):
    values = made_up_rows(CHAMPION, n, seed, holes=0.2)
    found = compare_leaf(leaf_of(values), CHAMPION, CHALLENGER)
    whole = values[:, np.isfinite(values).all(axis=0)]
    old, new = (expected_scores(whole, model)[0] for model in (CHAMPION, CHALLENGER))
    assert found.n_rows == whole.shape[1]
    assert found.champion == pytest.approx(old.sum(), rel=1e-9, abs=1e-9)
    assert found.challenger == pytest.approx(new.sum(), rel=1e-9, abs=1e-9)
    assert found.squared_difference == pytest.approx(((new - old) ** 2).sum(), rel=1e-8, abs=1e-8)


@given(st.integers(0, 2**20), st.integers(0, 40))
def test_a_split_changes_nothing(seed, cut):
    values = made_up_rows(CHAMPION, 40, seed)
    whole = compare_leaf(leaf_of(values), CHAMPION, CHALLENGER)
    parts = [compare_leaf(leaf_of(part), CHAMPION, CHALLENGER) for part in (values[:, :cut], values[:, cut:])]
    both = parts[0].combine(parts[1])
    assert both.n_rows == whole.n_rows
    assert both.difference == pytest.approx(whole.difference, rel=1e-9, abs=1e-12)


def test_mean_and_standard_error_are_those_of_the_paired_differences():
    values = made_up_rows(CHAMPION, 500)
    found = compare_models(ArraySource.of(np.ascontiguousarray(values.T)), LocalEngine(), CHAMPION, CHALLENGER)
    old, new = (expected_scores(values, model)[0] for model in (CHAMPION, CHALLENGER))
    assert found.difference == pytest.approx((new - old).mean())
    assert found.standard_error == pytest.approx((new - old).std(ddof=1) / np.sqrt(500))


def test_a_model_against_itself_differs_by_nothing():
    found = compare_leaf(leaf_of(made_up_rows(CHAMPION, 50)), CHAMPION, CHAMPION)
    assert (found.difference, found.standard_error) == (0.0, 0.0)
    nothing = compare_leaf(leaf_of(np.empty((3, 0))), CHAMPION, CHALLENGER)
    assert np.isnan([nothing.difference, nothing.standard_error]).all()


@pytest.mark.filterwarnings("error")
def test_a_row_whose_square_overflows_makes_no_difference_that_could_promote():
    values = made_up_rows(CHAMPION, 50)
    values[0, 7] = 1e100
    found = [compare_leaf(leaf_of(values), *pair) for pair in ((CHAMPION, CHALLENGER), (CHALLENGER, CHAMPION))]
    both = found[0].combine(compare_leaf(leaf_of(made_up_rows(CHAMPION, 50)), CHAMPION, CHALLENGER))
    assert np.isnan([number for one in (*found, both) for number in (one.difference, one.standard_error)]).all()
    assert [one.n_rows for one in found] == [50, 50]

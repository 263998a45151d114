"""The promotion gate: a tie keeps, another size or structure must be worth it, the disqualified never pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.monitoring.gate import Contender, decide

SAME = Contender(n_components=4, structure="full")


def test_a_tie_keeps_the_champion_and_any_gain_promotes_its_equal():
    assert not decide(SAME, SAME, 0.0, 100).is_promoted
    assert decide(SAME, SAME, 1e-9, 100).is_promoted


@pytest.mark.parametrize("k", [2, 6])
def test_another_size_is_worth_a_thousandth_per_component_either_way(k):
    other = Contender(n_components=k, structure="full")
    assert not decide(SAME, other, 0.002, 100).is_promoted
    assert decide(SAME, other, 0.0021, 100).is_promoted


def test_another_structure_is_worth_a_thousandth_for_each_component():
    other = Contender(n_components=4, structure="diag")
    assert not decide(SAME, other, 0.004, 100).is_promoted
    assert decide(SAME, other, 0.0041, 100).is_promoted


@given(st.floats(-10, 1e6), st.integers(0, 10**9))
def test_a_disqualified_challenger_never_passes(difference, n_rows):
    decision = decide(
        SAME, Contender(n_components=4, structure="full", objection="a covariance collapsed"), difference, n_rows
    )
    assert not decision.is_promoted
    assert "a covariance collapsed" in decision.reason


def test_without_a_row_that_both_can_score_the_champion_is_kept():
    decision = decide(SAME, SAME, float("nan"), 0)
    assert not decision.is_promoted
    assert "No held-out row" in decision.reason


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_better_challenger_is_never_refused_where_a_worse_one_passes(one, other):
    worse, better = sorted((one, other))
    assert decide(SAME, SAME, worse, 5).is_promoted <= decide(SAME, SAME, better, 5).is_promoted


@pytest.mark.parametrize("difference", [float("nan"), float("inf"), float("-inf")])
def test_a_difference_that_is_no_number_keeps_the_champion_and_says_so(difference):
    decision = decide(SAME, SAME, difference, 7)
    assert not decision.is_promoted
    assert decision.reason == "On 7 held-out rows values are so large that the models cannot be compared"

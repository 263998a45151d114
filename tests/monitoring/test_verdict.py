"""Ordinary nights keep the champion, change calls for training, and tonight alone only alarms."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gmmdask.errors import InvalidInputError
from gmmdask.monitoring import (
    LastAttempt,
    NightSums,
    NullDistribution,
    Thresholds,
    Verdict,
    judge,
    learn_null,
    measure_gain,
)
from gmmdask.monitoring.verdict import ordinary_gain
from tests.monitoring.worlds import QuietWorld, date_of, nights_of, quiet_world, summed

LIMITS = Thresholds(window=14)
TRAINED = 56


@cache
def started() -> tuple[QuietWorld, NightSums, NullDistribution]:
    world = quiet_world(n_nights=TRAINED)
    nights = nights_of(world.champion, world.training)
    return world, nights, learn_null(nights, world.champion, LIMITS.window)


def judged(later: list[np.ndarray], attempt: LastAttempt | None = None, **changes: object) -> Verdict:
    """The verdict on the last of some nights after training."""
    world, nights, null = started()
    for number, rows in enumerate(later):
        nights = nights.with_night(date_of(TRAINED + 1 + number), summed(world.champion, rows))
    limits = replace(LIMITS, **changes) if changes else LIMITS
    tonight = date_of(TRAINED + len(later))
    return judge(nights, tonight, world.champion, null, attempt or LastAttempt(date=date_of(TRAINED)), limits)


def quiet(count: int) -> list[np.ndarray]:
    return started()[0].nights(count)


def moved(count: int, *, by: float) -> list[np.ndarray]:
    """Nights on which every other row moved: no change of unit."""
    nights = quiet(count)
    for night in nights:
        night[:, ::2] += by
    return nights


def test_ordinary_nights_keep_the_champion() -> None:
    verdict = judged(quiet(20))
    assert (verdict.decision, verdict.left_out, verdict.unit_change) == ("keep", (), None)
    assert verdict.numbers["gain"] < verdict.numbers["ordinary"]
    assert verdict.window == tuple(date_of(TRAINED + 7 + n) for n in range(14))


def test_a_change_calls_for_a_warm_start_and_a_large_one_for_a_new_fit() -> None:
    assert judged(moved(14, by=0.35), refit_gain=1.0).decision == "warm-start"
    assert judged(moved(14, by=2.0)).decision == "refit"


def test_the_verdict_follows_from_its_numbers() -> None:
    """G of the window's rows; the limit is the margin times the null's largest window."""
    world, _, null = started()
    later = moved(14, by=1.0)
    verdict = judged(later)
    gain = measure_gain(summed(world.champion, np.hstack(later)), world.champion)
    assert verdict.numbers["gain"] == pytest.approx(gain.total, rel=1e-9)
    assert verdict.numbers["ordinary"] == pytest.approx(LIMITS.margin * null.largest, rel=1e-6)
    assert verdict.numbers["excess"] == pytest.approx(gain.total - null.median, rel=1e-9)
    parts = sum(verdict.numbers[f"gain_{part}"] for part in ("weight", "mean", "covariance"))
    assert parts == pytest.approx(gain.total, rel=1e-8)


def test_a_warm_start_learns_from_the_nights_that_differ() -> None:
    """Nights of the state before would leave the model between the two, and the difference would be ordinary to it."""
    verdict = judged([*quiet(20), *moved(9, by=0.5)], refit_gain=5.0, rows_per_parameter=10.0)
    assert (verdict.decision, verdict.since) == ("warm-start", date_of(TRAINED + 21))
    assert verdict.reason.endswith(f"the nights differ since {verdict.since}")
    whole = judged(moved(20, by=0.5), refit_gain=5.0)
    assert whole.decision == "warm-start"
    assert f"the nights differ since {whole.since}" in whole.reason


def test_where_every_night_judged_differs_the_change_may_be_older() -> None:
    verdict = judged(moved(14, by=2.0))
    assert verdict.since == verdict.window[0]
    assert verdict.reason.endswith(f"the nights differ since {verdict.since} or before")


def test_a_new_fit_learns_from_the_nights_that_differ_and_waits_until_they_are_enough() -> None:
    verdict = judged([*quiet(20), *moved(8, by=3.0)])
    assert (verdict.decision, verdict.since) == ("refit", date_of(TRAINED + 21))
    assert verdict.reason.endswith(f"the nights differ since {verdict.since}")
    waiting = judged([*quiet(27), *moved(1, by=6.0)], rows_per_parameter=50.0)
    assert waiting.decision == "keep"
    assert "are not enough to learn from" in waiting.reason


def test_a_gain_over_the_ordinary_that_is_too_small_keeps() -> None:
    verdict = judged(moved(14, by=1.0), smallest_gain=10.0, refit_gain=20.0)
    assert verdict.decision == "keep"
    assert "not worth a training" in verdict.reason


def test_nights_up_to_the_last_attempt_are_not_judged() -> None:
    later = [*moved(14, by=2.0), *quiet(5)]
    verdict = judged(later, LastAttempt(date=date_of(TRAINED + 14)))
    assert verdict.decision == "keep"
    assert verdict.reason == "window not full: 5 of 14 nights since the last training"
    assert verdict.gain is None


def test_a_rejected_warm_start_is_followed_by_a_new_fit() -> None:
    attempt = LastAttempt(date=date_of(TRAINED), rejected_warm_start=True)
    anew = judged(moved(14, by=1.0), attempt, refit_gain=5.0)
    assert (anew.decision, anew.since) == ("refit", ""), "no break, and no few nights to learn from alone"
    assert judged(moved(14, by=1.0), refit_gain=5.0).decision == "warm-start"
    assert judged(quiet(14), attempt).decision == "keep"


def test_too_few_rows_keep() -> None:
    verdict = judged([night[:, :30] for night in moved(14, by=2.0)])
    assert (verdict.decision, verdict.reason) == ("keep", "not enough data: 420 rows in 14 nights, 1,450 needed")


def test_a_champion_of_too_few_nights_is_fitted_anew_once_a_window_is_there() -> None:
    world, nights, _ = started()
    few = nights.between(date_of(1), date_of(5))
    null = learn_null(few, world.champion, LIMITS.window)
    attempt = LastAttempt(date=date_of(5))
    early = judge(nights, date_of(12), world.champion, null, attempt, LIMITS)
    late = judge(nights, date_of(19), world.champion, null, attempt, LIMITS)
    assert (early.decision, late.decision) == ("keep", "refit")
    assert "learned from 5 nights" in late.reason
    assert early.alerts == late.alerts == {}


def test_tonight_alone_alarms_and_keeps() -> None:
    verdict = judged([*quiet(5), *moved(1, by=2.0)])
    assert verdict.decision == "keep"
    assert verdict.alerts["tonight"].startswith("tonight's gain is")
    assert verdict.tonight is not None
    assert verdict.numbers["tonight"] == verdict.tonight.total > verdict.numbers["tonight_limit"]


def test_parts_of_the_last_three_nights_alarm_where_no_night_does() -> None:
    """Weights that vary from night to night hide a small shift of the means from a night's G, and not from its mean part.

    The limit is the margin times the largest of the training range, and what the nights gain is that of their rows.
    """
    world, _, null = started()
    noisy = replace(null, nights=tuple(gain + 0.5 * (n % 3) for n, gain in enumerate(null.nights)))
    later = moved(3, by=0.4)
    nights = nights_of(world.champion, later, first=TRAINED + 1)
    verdict = judge(nights, date_of(TRAINED + 3), world.champion, noisy, LastAttempt(date=date_of(TRAINED)), LIMITS)
    assert verdict.numbers["tonight"] < verdict.numbers["tonight_limit"]
    assert verdict.alerts["recent_mean"].startswith("the mean part of the last 3 nights' gain is")
    gain = measure_gain(summed(world.champion, np.hstack(later)), world.champion)
    assert verdict.numbers["recent_mean"] == pytest.approx(gain.mean.sum(), rel=1e-9)
    assert verdict.numbers["recent_mean_limit"] == pytest.approx(1.25 * null.largest_parts["mean"], rel=1e-9)


def test_three_nights_are_judged_once_three_are_there_and_tonight_is_among_them() -> None:
    """A night in another unit, or one without rows, is not."""
    empty = quiet(1)[0][:, :0]
    for later in (quiet(2), [*quiet(3), *in_feet(quiet(1))], [*quiet(3), empty]):
        verdict = judged(later)
        assert verdict.recent is None
        assert not any(name.startswith("recent") for name in verdict.numbers)
    assert judged([*quiet(2), *in_feet(quiet(1)), *quiet(1)]).recent is not None


def test_of_three_training_nights_only_tonight_has_a_limit() -> None:
    world, nights, _ = started()
    null = learn_null(nights.between(date_of(1), date_of(3)), world.champion, LIMITS.window)
    few = replace(LIMITS, fewest_nights=2)
    verdict = judge(nights, date_of(10), world.champion, null, LastAttempt(date=date_of(3)), few)
    assert "tonight_limit" in verdict.numbers
    assert verdict.recent is not None
    assert "recent_mean_limit" not in verdict.numbers


def in_feet(nights: list[np.ndarray]) -> list[np.ndarray]:
    for night in nights:
        night[1] = (night[1] + 10) / 0.3048 - 10
    return nights


def test_a_change_of_unit_alarms_by_name_and_trains_nothing() -> None:
    verdict = judged([*quiet(14), *in_feet(quiet(14))])
    assert verdict.decision == "keep"
    assert verdict.unit_change is not None
    assert verdict.unit_change.feature == 1
    assert verdict.unit_change.told("weight").startswith("weight looks rescaled or shifted upstream: x → 3.")
    assert verdict.left_out == tuple(date_of(TRAINED + 15 + n) for n in range(14))
    assert verdict.window == tuple(date_of(TRAINED + 1 + n) for n in range(14))


def test_a_window_that_does_not_fill_tells_which_nights_do_not_count() -> None:
    """Chosen are the quiet ones alone."""
    reason = "window not full: 3 of 14 nights since the last training"
    assert judged(quiet(3)).reason == reason
    assert judged([*quiet(3), *in_feet(quiet(2))]).reason == (
        f"{reason}; 2 nights were left out because a feature came in another unit"
    )


def test_nights_in_another_unit_leave_the_window_after_it_was_mended() -> None:
    verdict = judged([*quiet(10), *in_feet(quiet(3)), *quiet(4)])
    assert (verdict.decision, len(verdict.window), len(verdict.left_out)) == ("keep", 14, 3)
    assert verdict.unit_change is None


def test_a_night_without_rows_is_no_night() -> None:
    empty = quiet(1)[0][:, :0]
    verdict = judged([*quiet(14), empty])
    assert (verdict.tonight, verdict.alerts, len(verdict.window)) == (None, {}, 14)
    assert date_of(TRAINED + 15) not in verdict.window


def test_a_night_of_few_rows_does_not_alarm_for_being_small() -> None:
    """Statistical: 40 nights of 40 rows against a null of nights of 300."""
    assert sum(bool(judged([night[:, :40]]).alerts) for night in quiet(40)) <= 4


def test_a_window_of_fewer_rows_is_ordinary_up_to_more() -> None:
    _, _, null = started()
    assert ordinary_gain(null, null.window_mass / 2, LIMITS) > ordinary_gain(null, null.window_mass, LIMITS)


def test_a_null_of_another_window_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="windows of 14 nights and the settings ask for 28"):
        judged(quiet(1), window=28)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"window": 0}, "window=0"),
        ({"fewest_nights": 1}, "fewest_nights=1"),
        ({"margin": 0.5}, "margin=0.5"),
        ({"refit_gain": 1e-4}, "refit_gain=0.0001 must not be less than smallest_gain=0.001"),
        ({"refit_ratio": 0.5}, "refit_ratio=0.5"),
        ({"night_quantile": 1.5}, "night_quantile=1.5"),
        ({"part_margin": 0.9}, "part_margin=0.9"),
        ({"unit_share": 0.0}, "unit_share=0"),
        ({"unit_scale": 1.0}, "unit_scale=1"),
        ({"unit_shift": 0.0}, "unit_shift=0"),
        ({"rows_per_parameter": -1.0}, "rows_per_parameter=-1"),
        ({"smallest_gain": -1.0}, "smallest_gain=-1"),
    ],
)
def test_thresholds_that_contradict_themselves_are_named(changes: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        replace(Thresholds(), **changes)

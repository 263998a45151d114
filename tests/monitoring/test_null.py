"""The null tells what G is on ordinary nights: neither flattered by having seen them, nor by luck."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from gmmdask.errors import InvalidInputError
from gmmdask.monitoring import (
    LastAttempt,
    NullDistribution,
    Thresholds,
    Verdict,
    judge,
    learn_null,
    measure_gain,
    retrained,
    total_gain,
)
from gmmdask.monitoring.null import _combination
from tests.monitoring.worlds import QuietWorld, date_of, nights_of, quiet_world, summed


@pytest.fixture(scope="module")
def world() -> QuietWorld:
    return quiet_world(n_nights=56)


@pytest.fixture(scope="module")
def null(world: QuietWorld) -> NullDistribution:
    return learn_null(nights_of(world.champion, world.training), world.champion, 14)


def test_every_window_is_compared_with_all_other_nights_of_the_range(world: QuietWorld, null: NullDistribution) -> None:
    """To rounding: both sides summed anew from the rows."""
    assert len(null.windows) == 43
    others, _ = retrained(summed(world.champion, np.hstack(world.training[:5] + world.training[19:])), world.champion)
    gain = total_gain(summed(world.champion, np.hstack(world.training[5:19])), world.champion, others)
    assert null.windows[5] == pytest.approx(gain, rel=1e-6)


def test_every_pair_of_weeks_is_a_scattered_window(world: QuietWorld, null: NullDistribution) -> None:
    """To rounding: 28 pairs of 8 weeks, counted from the last night."""
    assert len(null.scattered) == 28
    weeks = [world.training[56 - 7 * (week + 1) : 56 - 7 * week] for week in range(8)]
    inside, outside = (
        weeks[1] + weeks[4],
        [w for number, week in enumerate(weeks) for w in week if number not in (1, 4)],
    )
    others, _ = retrained(summed(world.champion, np.hstack(outside)), world.champion)
    gain = total_gain(summed(world.champion, np.hstack(inside)), world.champion, others)
    assert min(abs(value / gain - 1) for value in null.scattered) < 1e-6


def test_three_nights_have_the_parts_of_their_gain_and_one_night_its_total(
    world: QuietWorld, null: NullDistribution
) -> None:
    """To rounding: both sides summed anew from the rows."""
    assert (len(null.nights), len(null.runs)) == (56, 54)
    for values, nights in ((null.nights, slice(1)), (null.runs, slice(3))):
        others, _ = retrained(summed(world.champion, np.hstack(world.training[nights.stop :])), world.champion)
        gain = measure_gain(summed(world.champion, np.hstack(world.training[nights])), world.champion, others)
        assert np.sum(values[0]) == pytest.approx(gain.total, rel=1e-6)
    assert null.runs[0][1] == pytest.approx(gain.mean.sum(), rel=1e-6)
    assert null.largest_parts["mean"] == max(mean for _, mean, _ in null.runs)


def test_where_nights_vary_at_random_three_together_gain_a_third(null: NullDistribution) -> None:
    """Statistical: 54 runs that overlap, of independent rows. Theory says 1/3 of P/2N, and 1 part in 54 more for N_ref."""
    assert 0.25 < np.mean(np.sum(null.runs, axis=1)) / np.mean(null.nights) < 0.42


def test_quiet_windows_to_come_look_like_the_null(world: QuietWorld, null: NullDistribution) -> None:
    """Statistical: 40 windows of independent rows. Theory says 1/N + 1/N_ref against 1/N + 1/(N_ref − N): 0.94."""
    gains = [total_gain(summed(world.champion, np.hstack(world.nights(14))), world.champion) for _ in range(40)]
    assert 0.75 < np.median(gains) / null.median < 1.15
    assert sum(gain > 1.25 * null.largest for gain in gains) == 0
    assert 0.5 < np.mean(gains) / null.theory(14 * 300) < 1.1


def quiet_verdicts(seed: int, margin: float) -> list[Verdict]:
    """The verdicts on 50 nights without drift, each with a full window behind it."""
    world = quiet_world(n_nights=56, seed=seed)
    null = learn_null(nights_of(world.champion, world.training), world.champion, 14)
    later = nights_of(world.champion, world.nights(63), first=57)
    attempt, limits = LastAttempt(date=date_of(56)), Thresholds(window=14, margin=margin)
    return [judge(later, date_of(night), world.champion, null, attempt, limits) for night in range(70, 120)]


def test_two_hundred_nights_without_drift_keep_and_gain_what_chance_gives() -> None:
    """Statistical: 50 nights of each of four champions; at most 1 % are not kept.

    2NG is P(1 + N/N_ref) on average (Wilks 1938), of a night as of a window. P = 29: 2 weights, 9 means, 18 covariances.
    """
    verdicts = [verdict for seed in range(4) for verdict in quiet_verdicts(seed, margin=1.5)]
    assert len(verdicts) == 200
    assert sum(verdict.decision != "keep" for verdict in verdicts) <= 2
    for name, rows in (("tonight", 300), ("gain", 14 * 300)):
        gains = np.array([verdict.numbers[name] for verdict in verdicts])
        assert 0.5 < np.mean(2 * rows * gains / (29 * (1 + rows / (56 * 300)))) < 1.1


def test_without_a_margin_over_the_null_a_champion_would_be_trained_anew_for_nothing() -> None:
    """Statistical: one that is less lucky than others, in 8 of 50 nights; the margin is what keeps it."""
    assert sum(verdict.decision != "keep" for verdict in quiet_verdicts(2, margin=1.0)) > 2


def test_windows_that_the_champion_has_seen_would_flatter_it(world: QuietWorld, null: NullDistribution) -> None:
    """Statistical: 1/N − 1/N_ref against 1/N + 1/(N_ref − N), 0.56; why windows are left out."""
    seen = [
        total_gain(summed(world.champion, np.hstack(world.training[first : first + 14])), world.champion)
        for first in range(0, 43, 7)
    ]
    assert np.median(seen) / null.median < 0.7


def test_nights_to_come_pass_the_quantile_as_often_as_it_says(world: QuietWorld, null: NullDistribution) -> None:
    """Statistical: 10 % of 300 nights, three standard errors and the quantile's own."""
    limit = null.night_quantile(0.9)
    over = np.mean([total_gain(summed(world.champion, world.night()), world.champion) > limit for _ in range(300)])
    assert 0.02 < over < 0.22


def test_a_short_range_is_measured_in_halves_and_scaled(world: QuietWorld) -> None:
    """To rounding."""
    nights = nights_of(world.champion, world.training[:20])
    short, tens = learn_null(nights, world.champion, 14), learn_null(nights, world.champion, 10)
    np.testing.assert_allclose(short.windows, np.array(tens.windows) * (1 / 14 + 1 / 10) / (1 / 10 + 1 / 10))
    assert (short.window, tens.window) == (14, 10)


@pytest.mark.parametrize("n_nights", [0, 1])
def test_a_range_without_two_nights_has_no_null(world: QuietWorld, n_nights: int) -> None:
    null = learn_null(nights_of(world.champion, world.training[:n_nights]), world.champion)
    assert (null.n_nights, null.windows, null.scattered, null.nights, null.runs) == (n_nights, (), (), (), ())
    assert null.largest_parts == {}


def test_nights_without_rows_are_no_nights(world: QuietWorld) -> None:
    with_gap = [*world.training[:10], world.training[0][:, :0], *world.training[10:20]]
    assert learn_null(nights_of(world.champion, with_gap), world.champion, 7).n_nights == 20


def test_what_holds_a_night_that_outweighs_all_others_is_left_out(world: QuietWorld) -> None:
    """Subtracted from the whole, it would leave nothing of the others."""
    nights = nights_of(world.champion, world.training[:20])
    sums = nights.sums.copy()
    sums[9] *= 1e20
    found, known = learn_null(replace(nights, sums=sums), world.champion, 7), learn_null(nights, world.champion, 7)
    assert found.n_nights == 20
    assert [len(known.windows), len(known.nights), len(known.runs)] == [14, 20, 18]
    assert [len(found.windows), len(found.nights), len(found.runs)] == [14 - 7, 19, 18 - 3]
    assert 0 < len(found.scattered) < len(known.scattered)
    assert np.isfinite([*found.windows, *found.scattered, *found.nights, *np.ravel(found.runs)]).all()


def test_the_null_comes_back_equal_from_its_parts(null: NullDistribution) -> None:
    arrays, facts = null.to_parts()
    assert NullDistribution.from_parts(arrays, json.loads(json.dumps(facts))) == null
    for other in (0, 3):
        with pytest.raises(InvalidInputError, match=rf"cannot be judged by.*version {other}.*SETTINGS --refit"):
            NullDistribution.from_parts(arrays, {**facts, "version": other})


def first_version(null: NullDistribution, parts: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The parts that version 1 stored: those of single nights, and no runs."""
    arrays, facts = null.to_parts()
    del arrays["runs"]
    return {**arrays, "nights": parts}, {**facts, "version": 1}


@pytest.mark.parametrize("n_nights", [0, 56])
def test_a_null_of_version_1_is_read_and_written_back_as_it_was(null: NullDistribution, n_nights: int) -> None:
    """Else the model that it belongs to would have another id than it was saved with."""
    parts = np.random.default_rng(0).random((n_nights, 3)) if n_nights else np.array([])
    arrays, facts = first_version(null, parts)
    read = NullDistribution.from_parts(arrays, json.loads(json.dumps(facts)))
    np.testing.assert_allclose(read.nights, parts.reshape(-1, 3).sum(axis=1))
    assert (read.runs, read.largest_parts, read.windows) == ((), {}, null.windows)
    again, facts_again = read.to_parts()
    assert facts_again == facts
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, strict=True)


def test_what_a_model_continues_tells_it_what_is_ordinary(world: QuietWorld, null: NullDistribution) -> None:
    """The lists of both, the earlier nights first; rows are the model's own; other windows do not join."""
    few = learn_null(nights_of(world.champion, world.nights(5), first=57), world.champion, 14)
    joined = few.joined(null)
    assert joined.n_nights == 61
    for name in ("windows", "scattered", "nights", "runs"):
        assert getattr(joined, name) == (*getattr(null, name), *getattr(few, name))
    assert (joined.mass, joined.night_mass, joined.window_mass) == (few.mass, few.night_mass, few.window_mass)
    assert joined.largest == max(null.largest, few.largest)
    assert few.joined(replace(null, window=28)) is few


def test_fewer_rows_than_usual_are_allowed_more_and_more_rows_nothing(null: NullDistribution) -> None:
    assert null.allowance(100.0, 300.0) > null.allowance(200.0, 300.0) > null.allowance(300.0, 300.0) == 0.0
    assert null.allowance(1e9, 300.0) == 0.0
    assert replace(null, n_parameters=0).allowance(100.0, 300.0) == 0.0


@pytest.mark.parametrize(("n", "size"), [(1, 1), (5, 2), (7, 4), (6, 6)])
def test_combinations_are_numbered_as_itertools_does(n: int, size: int) -> None:
    expected = [list(one) for one in combinations(range(n), size)]
    assert [_combination(rank, n, size) for rank in range(len(expected))] == expected

"""What is an alarm and what is not: quiet nights, changes small and gross, one night and two, and foreign profiles."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from gmmdask.errors import EmptyDataError, InvalidInputError, SchemaError
from gmmdask.monitoring import (
    FeatureAlarm,
    FeatureBins,
    NightFeatures,
    ReferenceProfile,
    count_rows,
    judge_features,
)
from gmmdask.monitoring.departures import FLOORS, UNITS, departures_of

FEATURES = ("speed", "height", "hour")
FIRST = date(2026, 3, 2)
N_NIGHTS, N_ROWS = 28, 4_000


def rows_of(seed: int, n: int = N_ROWS, wobble: float = 0.0) -> tuple[np.ndarray, list[str | None]]:
    random = np.random.default_rng([7, seed])
    values = np.array(
        [
            random.normal(200.0, 20.0, n) + 20 * wobble * random.normal(),
            np.exp(random.normal(size=n)) * 1_000,
            random.integers(0, 24, n),
        ]
    )
    values[1, random.random(n) < 0.1] = np.nan
    return values, [("red", "green", None)[i] for i in random.choice(3, n, p=[0.7, 0.2, 0.1])]


def profile_of(wobble: float = 0.0, n_nights: int = N_NIGHTS) -> ReferenceProfile:
    nights = [rows_of(seed, wobble=wobble) for seed in range(n_nights)]
    sample = np.concatenate([values[:, ::4] for values, _ in nights], axis=1)
    bins = FeatureBins.learn(FEATURES, sample, {"colour": {"red": 7, "green": 2}})
    return ReferenceProfile.learn(bins, {FIRST + timedelta(i): counted(bins, *night) for i, night in enumerate(nights)})


def counted(bins: FeatureBins, values: np.ndarray, colours: list[str | None]) -> NightFeatures:
    return count_rows(values, bins, {"colour": pa.array(colours, pa.string())})


PROFILE = profile_of()
TONIGHT = FIRST + timedelta(N_NIGHTS)


def judged(*nights: tuple[np.ndarray, list[str | None]], profile: ReferenceProfile = PROFILE) -> dict:
    """Measurements of the last of some nights by what was measured."""
    dates = {TONIGHT + timedelta(i): counted(profile.bins, *night) for i, night in enumerate(nights)}
    found = judge_features(profile, dates)
    return {(one.statistic, one.feature, one.category): one for one in found}


def alarms(measured: dict[tuple, FeatureAlarm]) -> set[tuple]:
    return {key for key, one in measured.items() if one.is_alarm}


def shifted(seed: int, by: float) -> tuple[np.ndarray, list[str | None]]:
    values, colours = rows_of(seed)
    values[0] += by
    return values, colours


def test_every_test_is_told_once_a_night_alarm_or_not() -> None:
    measured = judged(rows_of(100))
    numeric = {(statistic, name, None) for name in FEATURES for statistic in ("psi", "ks", "wasserstein", "null_rate")}
    colours = {("category_rate", "colour", name) for name in ("green", "red", "(other)", "(missing)")}
    assert set(measured) == numeric | colours | {("row_count", None, None)}
    assert len(PROFILE.tests) == len(measured)
    assert alarms(measured) == set()
    assert all(one.reason is None and one.threshold is not None for one in measured.values())


def test_a_small_shift_needs_two_of_three_nights() -> None:
    """A quarter of a standard deviation: large on its first night, an alarm on its second, and on a third after a gap."""
    key = ("wasserstein", "speed", None)
    once = judged(rows_of(100), rows_of(101), shifted(102, 4.0))
    assert once[key].is_large
    assert not once[key].is_alarm
    assert once[key].value == pytest.approx(0.2, abs=0.05)
    for nights in (
        [rows_of(100), shifted(101, 4.0), shifted(102, 4.0)],
        [shifted(100, 4.0), rows_of(101), shifted(102, 4.0)],
    ):
        measured = judged(*nights)
        assert measured[key].is_alarm
        assert "speed" in measured[key].reason
        assert "two of the last three nights" in measured[key].reason
        assert {feature for _, feature, _ in alarms(measured)} == {"speed"}
    assert not judged(shifted(99, 4.0), rows_of(100), rows_of(101), shifted(102, 4.0))[key].is_alarm


def test_a_night_that_is_as_before_is_no_alarm_whatever_the_nights_before_were() -> None:
    assert alarms(judged(shifted(100, 4.0), shifted(101, 4.0), rows_of(102))) == set()


@pytest.mark.parametrize("factor", [0.3048, 3.28084, 1 / 60, 1e6, -1.0])
def test_another_unit_is_an_alarm_the_same_night(factor: float) -> None:
    values, colours = rows_of(100)
    values[0] *= factor
    measured = judged((values, colours))
    assert ("psi", "speed", None) in alarms(measured)
    assert {feature for _, feature, _ in alarms(measured)} == {"speed"}
    assert "strong, so at once" in measured["psi", "speed", None].reason


def test_a_column_gone_null_is_an_alarm_the_same_night_and_its_distances_are_not_told() -> None:
    values, colours = rows_of(100)
    values[1] = np.nan
    measured = judged((values, colours))
    assert alarms(measured) == {("null_rate", "height", None)}
    assert measured["null_rate", "height", None].value == 1.0
    assert measured["null_rate", "height", None].reference == pytest.approx(0.1, abs=0.01)
    assert measured["null_rate", "height", None].threshold > 0.1
    assert measured["psi", "height", None].value is None
    assert measured["psi", "height", None].p_value is None


def test_a_column_that_is_mostly_null_is_missed_when_it_is_gone_for_good() -> None:
    """19 in 20 are missing on every night, and on one they nearly all were: 5 % more is still noticed at once."""

    def sparse(seed: int, present: float) -> tuple[np.ndarray, list[str | None]]:
        values, colours = rows_of(seed)
        values[1, np.random.default_rng(seed).random(N_ROWS) > present] = np.nan
        return values, colours

    nights = {FIRST + timedelta(i): sparse(i, 0.005 if i == 3 else 0.05) for i in range(N_NIGHTS)}
    sample = np.concatenate([values for values, _ in nights.values()], axis=1)
    bins = FeatureBins.learn(FEATURES, sample, {"colour": {"red": 7, "green": 2}})
    profile = ReferenceProfile.learn(bins, {dt: counted(bins, *night) for dt, night in nights.items()})
    assert alarms(judged(sparse(100, 0.0), profile=profile)) == {("null_rate", "height", None)}
    assert alarms(judged(sparse(100, 0.05), profile=profile)) == set()


def test_a_category_that_takes_over_and_one_never_seen_are_named() -> None:
    values, colours = rows_of(100)
    assert ("category_rate", "colour", "green") in alarms(judged((values, ["green"] * N_ROWS)))
    novel = judged((values, ["violet" if colour == "green" else colour for colour in colours]))
    assert alarms(novel) == {("category_rate", "colour", "green"), ("category_rate", "colour", "(other)")}
    assert novel["category_rate", "colour", "(other)"].reference == 0.0


def test_rows_are_compared_with_those_of_the_same_weekday() -> None:
    """Sundays have a quarter of the rows: usual on a Sunday, an alarm on a Monday."""
    sizes = [N_ROWS // 4 if (FIRST + timedelta(i)).weekday() == 6 else N_ROWS for i in range(N_NIGHTS)]
    nights = [rows_of(i, n) for i, n in enumerate(sizes)]
    bins = FeatureBins.learn(FEATURES, nights[0][0], {"colour": {"red": 7, "green": 2}})
    profile = ReferenceProfile.learn(bins, {FIRST + timedelta(i): counted(bins, *n) for i, n in enumerate(nights)})
    few = counted(bins, *rows_of(100, N_ROWS // 4))
    monday, sunday = FIRST + timedelta(N_NIGHTS), FIRST + timedelta(N_NIGHTS + 6)
    rows = [
        next(a for a in judge_features(profile, {dt: few}) if a.statistic == "row_count") for dt in (monday, sunday)
    ]
    assert [one.is_alarm for one in rows] == [True, False]
    assert [one.reference for one in rows] == [N_ROWS, N_ROWS // 4]
    assert rows[0].value == N_ROWS // 4
    assert rows[0].threshold == pytest.approx(N_ROWS / 1.1)


def test_nights_that_vary_teach_what_is_usual() -> None:
    """The level of `speed` wobbles by a fifth of its spread: a fourth of that is no alarm then, and else it is."""
    wobbling = profile_of(wobble=0.2)
    pair = shifted(100, 2.0), shifted(101, 2.0)
    assert ("wasserstein", "speed", None) in alarms(judged(*pair))
    assert alarms(judged(*pair, profile=wobbling)) == set()
    assert ("psi", "speed", None) in alarms(judged(shifted(100, 60.0), profile=wobbling))


def test_however_many_rows_prove_it_a_change_that_matters_to_nobody_is_no_alarm() -> None:
    """A thousand times the rows: the chance is nothing, and the departure below the floor."""
    random = np.random.default_rng(0)
    bins = FeatureBins.learn(["x"], random.normal(size=(1, 10_000)))
    counts = count_rows(random.normal(size=(1, 200_000)), bins)
    moved = count_rows(random.normal(0.01, 1.0, size=(1, 200_000)), bins)

    def many(night: NightFeatures) -> NightFeatures:
        return NightFeatures(
            bins=night.bins, n_rows=1000 * night.n_rows, counts=1000 * night.counts, missing=1000 * night.missing
        )

    profile = ReferenceProfile.learn(bins, {FIRST + timedelta(i): many(counts) for i in range(20)})
    found = judge_features(profile, {TONIGHT: many(moved), TONIGHT + timedelta(1): many(moved)})
    assert max(one.value for one in found if one.statistic == "wasserstein") < 0.02
    assert min(one.p_value for one in found) < 1e-6
    assert not any(one.is_alarm for one in found)


def test_the_smallest_changes_that_count_are_those_of_a_small_shift_of_a_normal_feature() -> None:
    """Within 5 %: expected counts of a thousand million rows, shifted by 0.02 standard deviations."""
    bins = FeatureBins.learn(["x"], norm.ppf((np.arange(100_000) + 0.5) / 100_000)[None])
    before, after = (
        NightFeatures(
            bins=bins.fingerprint,
            n_rows=10**9,
            counts=np.round(1e9 * np.diff(norm.cdf(np.r_[-np.inf, bins.edges[0], np.inf], shift)))[None].astype(int),
            missing=np.zeros(1, dtype=np.int64),
        )
        for shift in (0.0, 0.02)
    )
    found = dict(zip(("psi", "ks", "wasserstein"), departures_of(bins, before, after)[:3], strict=True))
    assert found == pytest.approx({name: FLOORS[name] for name in found}, rel=0.05)


def test_quiet_nights_are_quiet() -> None:
    """Statistical: 150 nights of 4,000 rows and 17 tests each; at most one in a hundred has an alarm."""
    nights = {TONIGHT + timedelta(i): counted(PROFILE.bins, *rows_of(1_000 + i)) for i in range(150)}
    dates = sorted(nights)
    with_alarm = [
        any(one.is_alarm for one in judge_features(PROFILE, {dt: nights[dt] for dt in dates[max(0, i - 2) : i + 1]}))
        for i, dt in enumerate(dates)
    ]
    assert sum(with_alarm) <= 1


def test_a_handful_of_training_nights_say_nothing_but_what_is_gross_is_still_seen() -> None:
    young = profile_of(n_nights=5)
    measured = judged(shifted(100, 4.0), shifted(101, 4.0), profile=young)
    assert all(one.threshold is None for one in measured.values())
    assert alarms(measured) == set()
    values, colours = rows_of(102)
    values[0] *= 0.3048
    values[1] = np.nan
    assert {feature for _, feature, _ in alarms(judged((values, colours), profile=young))} == {"speed", "height"}


@settings(max_examples=20)
@given(st.integers(0, 40))
def test_a_night_of_a_few_rows_or_none_is_measured_without_noise(n: int) -> None:
    """Too few values to compare: no distance is told; that rows are missing is an alarm."""
    values, colours = rows_of(100, n)
    assert alarms(judged((values, colours))) == {("row_count", None, None)}


def test_a_profile_that_continues_another_knows_by_how_much_nights_differed() -> None:
    """A new level is its own; how far nights lie apart is that of both; an unknown test saw no earlier night."""
    earlier, later = profile_of(wobble=0.3), [rows_of(seed) for seed in range(100, 105)]
    sample = np.concatenate([values for values, _ in later], axis=1)
    bins = FeatureBins.learn(FEATURES, sample, {"colour": {"red": 7, "blue": 2}})
    nights = {TONIGHT + timedelta(i): counted(bins, *night) for i, night in enumerate(later)}
    own = ReferenceProfile.learn(bins, nights)
    joined = own.joined(earlier)
    keys = [(test.statistic, test.feature, test.category) for test in joined.tests]
    old = [(test.statistic, test.feature, test.category) for test in earlier.tests]
    assert joined.total is own.total
    assert list(joined.rows.by_date) == [*earlier.rows.by_date, *own.rows.by_date]
    psi, blue = keys.index(("psi", FEATURES[0], None)), keys.index(("category_rate", "colour", "blue"))
    seen = earlier.departures[old.index(keys[psi])]
    np.testing.assert_array_equal(joined.departures[psi], [*seen, *own.departures[psi]])
    assert np.isnan(joined.departures[blue, :N_NIGHTS]).all()
    assert joined.largest[psi] == seen.max() > own.largest[psi]
    again = own.joined(own)
    np.testing.assert_array_equal(again.departures, own.departures)


def test_a_profile_comes_back_equal_from_its_parts() -> None:
    arrays, facts = PROFILE.to_parts()
    again = ReferenceProfile.from_parts(arrays, json.loads(json.dumps(facts)))
    nights = {
        TONIGHT: counted(again.bins, *shifted(100, 4.0)),
        TONIGHT + timedelta(1): counted(again.bins, *rows_of(3)),
    }
    assert judge_features(again, nights) == judge_features(PROFILE, nights)
    assert again.bins.fingerprint == PROFILE.bins.fingerprint


def test_the_order_in_which_training_nights_are_given_does_not_matter() -> None:
    """To the bit."""
    nights = {FIRST + timedelta(i): counted(PROFILE.bins, *rows_of(i)) for i in range(N_NIGHTS)}
    backwards = ReferenceProfile.learn(PROFILE.bins, dict(reversed(nights.items())))
    np.testing.assert_array_equal(backwards.departures, PROFILE.departures)
    np.testing.assert_array_equal(backwards.thresholds, PROFILE.thresholds)


def test_nights_and_profiles_of_another_schema_are_refused() -> None:
    other = FeatureBins.learn(FEATURES, rows_of(0)[0], {"colour": {"red": 7}})
    foreign = counted(other, *rows_of(0))
    with pytest.raises(SchemaError, match="2026-03-30 was counted on bins"):
        judge_features(PROFILE, {TONIGHT: foreign})
    with pytest.raises(SchemaError, match="was counted on bins"):
        ReferenceProfile.learn(PROFILE.bins, {FIRST: foreign})
    PROFILE.require_schema(FEATURES, ("colour",))
    for features, columns in ((FEATURES[::-1], ("colour",)), (FEATURES, ()), (("speed",), ("colour",))):
        with pytest.raises(SchemaError, match="train again"):
            PROFILE.require_schema(features, columns)
    with pytest.raises(EmptyDataError, match="none is given"):
        ReferenceProfile.learn(PROFILE.bins, {})
    with pytest.raises(InvalidInputError, match="no night"):
        judge_features(PROFILE, {})
    arrays, facts = PROFILE.to_parts()
    with pytest.raises(InvalidInputError, match="do not fit together"):
        ReferenceProfile.from_parts({**arrays, "departures": arrays["departures"][:, :5]}, facts)


def test_the_psi_is_no_gain_per_row() -> None:
    assert UNITS["psi"] == "nats"

"""When to retrain: rules on a year of flights and on synthetic nights with known truth, without tables or flows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from benchmarks.drift_flights import Played, Year, flights, play
from benchmarks.drift_rules import IN_USE, RULES
from benchmarks.drift_worlds import CHANGES, KINDS, TRAINING_NIGHTS, World, summed, summed_nights
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from gmmdask.monitoring import LastAttempt, NightSums, NullDistribution, Thresholds, Verdict, judge, learn_null
from gmmdask.monitoring.nights import Champion

LIMITS = Thresholds()
WANDERING = KINDS[2]
"""Levels that wander by as much as the smallest changes are large: what alarms there is printed, and not required."""
MONTH = 28
MOST_RETRAININGS = 10
MOST_FALSE_VERDICTS = 0.01
ALERT_WITHIN = 3
MISSED_BY_DESIGN = "column gone null"
"""Its rows are dropped before they are summed: the alarms of the features see it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quiet:
    """What the rules said on quiet windows of one kind: shares of not keeping by rule, and of nights that alarmed."""

    kind: str
    rows: int
    windows: int
    false: tuple[float, ...]
    alarms: tuple[float, float]


def quiet(kind: str, rows: int, worlds: int, windows: int) -> Quiet:
    """Judge windows of nights like those of the training, one after the other, without ever training."""
    false: list[list[bool]] = []
    alarms: list[tuple[bool, bool]] = []
    for seed in range(worlds):
        world = World.of(seed, kind, rows)
        champion, training = world.trained()
        nulls = [rule.learn(training, champion, MONTH) for rule in RULES]
        for _ in range(windows):
            nights = summed_nights(champion, [world.night] * MONTH)
            window = nights.total()
            false.append([rule.retrains(window, champion, null) for rule, null in zip(RULES, nulls, strict=True)])
            alarms += _alarms(nights, champion, nulls[-1])
    shares = np.mean(false, axis=0).tolist()
    whole, any_part = np.mean(alarms, axis=0).tolist()
    return Quiet(kind=kind, rows=rows, windows=len(false), false=tuple(shares), alarms=(whole, any_part))


def _alarms(nights: NightSums, champion: Champion, null: NullDistribution) -> list[tuple[bool, bool]]:
    """Return, for every night, whether G alarms, and whether G or a part does."""
    verdicts_alone = [_tonight(nights, date, champion, null) for date in nights.dates]
    return [(any(map(_is_of_gain, alerts)), bool(alerts)) for alerts in verdicts_alone]


def _tonight(nights: NightSums, date: str, champion: Champion, null: NullDistribution) -> tuple[str, ...]:
    return judge(nights.only([date]), date, champion, null, LastAttempt(date=""), LIMITS).alerts


@dataclass(frozen=True, kw_only=True, eq=False)
class Noticed:
    """After how many nights a change was noticed, one entry a world; infinite where it never was."""

    kind: str
    change: str
    by_gain: tuple[float, ...]
    by_part: tuple[float, ...]
    as_unit: tuple[float, ...]
    verdict: tuple[float, ...]


def noticed(kind: str, rows: int, worlds: int, longest: int) -> list[Noticed]:
    """Play quiet nights for a month, then changed ones; every change anew in every world."""
    found = [_noticed_in(World.of(seed, kind, rows), longest) for seed in range(worlds)]
    columns = {change: list(zip(*(one[change] for one in found), strict=True)) for change in CHANGES}
    return [
        Noticed(kind=kind, change=change, by_gain=gain, by_part=part, as_unit=unit, verdict=verdict)
        for change, (gain, part, unit, verdict) in columns.items()
    ]


def _noticed_in(world: World, longest: int) -> dict[str, list[float]]:
    champion, training = world.trained()
    null = learn_null(training, champion, MONTH)
    before = summed_nights(champion, [world.night] * MONTH, TRAINING_NIGHTS)
    return {change: _first_nights(world, change, before, champion, null, longest) for change in CHANGES}


def _first_nights(
    world: World, change: str, nights: NightSums, champion: Champion, null: NullDistribution, longest: int
) -> list[float]:
    first = [inf] * 4
    for number in range(1, longest + 1):
        date = f"{TRAINING_NIGHTS + MONTH + number:05d}"
        nights = nights.with_night(date, summed(champion, CHANGES[change](world)))
        verdict = judge(nights, date, champion, null, LastAttempt(date=""), LIMITS)
        happened = (
            any(map(_is_of_gain, verdict.alerts)),
            any(alert.startswith("tonight") for alert in verdict.alerts),
            verdict.unit_change is not None,
            verdict.decision != "keep",
        )
        first = [min(old, number if now else inf) for old, now in zip(first, happened, strict=True)]
    return first


def _is_of_gain(alert: str) -> bool:
    return alert.startswith("tonight's gain")


def run(options: Options) -> Section:
    """Play the year, then the worlds."""
    kinds = KINDS[:1] if options.small else KINDS
    with flights(small=options.small) as year:
        played = _years(year, small=options.small)
    sizes = [(300, 1, 1)] if options.small else [(2_000, 20, 10), (50_000, 5, 10)]
    still = [quiet(kind, rows, worlds, windows) for rows, worlds, windows in sizes for kind in kinds]
    rows, worlds, longest = (300, 1, 2) if options.small else (50_000, 3, MONTH)
    changes = [one for kind in kinds for one in noticed(kind, rows, worlds, longest)]
    lines, missed = verdicts("drift_rule", _checks(played, still, changes))
    return Section(
        name="drift_rule",
        title="When to retrain",
        lines=(*_year_lines(played), "", *_quiet_lines(still), "", *_change_lines(changes), "", *lines),
        missed=missed,
    )


def _years(year: Year, *, small: bool) -> dict[tuple[str, str], Played]:
    rules = {"never": 999, "every 28 nights": MONTH} | {rule.name: rule for rule in RULES}
    chosen = {IN_USE.name: IN_USE} if small else rules
    windows = {"all nights": None} if small else {"all nights": None, "28": MONTH}
    return {
        (name, label): play(year, rule, window) for name, rule in chosen.items() for label, window in windows.items()
    }


def _year_lines(played: dict[tuple[str, str], Played]) -> list[str]:
    rows = [[name, label, len(one.retrained), f"{one.score:.3f}"] for (name, label), one in played.items()]
    acted = next(one for (name, _), one in played.items() if name == IN_USE.name)
    trainings = [_training(date, verdict) for date, verdict in acted.retrained]
    header = ["night", "verdict", "G", "ordinary", "excess", "component", "part", "its share"]
    return [
        "Flights, April to December, one night a day; score: mean log density per row of nights to come.",
        "",
        *table(["rule", "trained on", "retrainings", "score"], rows),
        "",
        f"The rule in use, trained on all nights; {acted.alerts} nights alarmed.",
        "",
        *table(header, trainings),
    ]


def _training(date: str, verdict: Verdict) -> list[object]:
    if verdict.gain is None:
        return [date, verdict.decision, *["–"] * 6]
    component, part = verdict.gain.largest
    share = verdict.gain.parts[part][component] / verdict.gain.total
    numbers = [f"{verdict.numbers[name]:.3f}" for name in ("gain", "ordinary", "excess")]
    return [date, verdict.decision, *numbers, component + 1, part, f"{share:.0%}"]


def _quiet_lines(still: Sequence[Quiet]) -> list[str]:
    rows = [
        [
            f"{one.kind}, {one.rows:,} rows",
            one.windows,
            *(f"{share:.1%}" for share in one.false),
            *(f"{share:.1%}" for share in one.alarms),
        ]
        for one in still
    ]
    short = ["seen", "left out", "weeks", "×1.25", "×1.5"]
    return [
        f"Quiet windows of {MONTH} nights: share that ends in anything but keep, by rule; nights that alarm by G, and by G",
        "or a part.",
        "",
        *table(["kind", "windows", *short, "G", "or part"], rows),
    ]


def _change_lines(changes: Sequence[Noticed]) -> list[str]:
    rows = [
        [one.kind, one.change, *(_nights(v) for v in (one.by_gain, one.by_part, one.as_unit, one.verdict))]
        for one in changes
    ]
    return [
        "Nights until a change is noticed, in each of the worlds (–: not within the nights played).",
        "",
        *table(["kind", "change", "by G", "or part", "as unit", "not keep"], rows),
    ]


def _nights(found: Sequence[float]) -> str:
    return " ".join("–" if one == inf else f"{one:.0f}" for one in found)


def _checks(
    played: dict[tuple[str, str], Played], still: Sequence[Quiet], changes: Sequence[Noticed]
) -> list[tuple[str, bool]]:
    most = max(len(one.retrained) for (name, _), one in played.items() if name == IN_USE.name)
    false = max(_false_share(still, kind) for kind in {one.kind for one in still})
    seen = [one for one in changes if one.change != MISSED_BY_DESIGN and one.kind != WANDERING]
    latest = max(min(night, other) for one in seen for night, other in zip(one.by_part, one.as_unit, strict=True))
    return [
        (f"at most {MOST_RETRAININGS} retrainings in the nine months of flights: {most}", most <= MOST_RETRAININGS),
        (
            f"at most {MOST_FALSE_VERDICTS:.0%} of quiet windows of any kind not kept: {false:.1%}",
            false <= MOST_FALSE_VERDICTS,
        ),
        (
            f"every change but the null column alarms within {ALERT_WITHIN} nights by G or a part: {_nights([latest])}",
            latest <= ALERT_WITHIN,
        ),
    ]


def _false_share(still: Sequence[Quiet], kind: str) -> float:
    """Return the share of one kind's quiet windows, at all sizes of nights, that the rule in use does not keep."""
    ours = [one for one in still if one.kind == kind]
    return sum(one.false[RULES.index(IN_USE)] * one.windows for one in ours) / sum(one.windows for one in ours)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=1)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

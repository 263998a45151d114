"""When to retrain: rules on a year of flights and on quiet synthetic nights, without tables or flows.

What is noticed of nights that change is the business of `drift_alarms`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.drift_flights import Played, Range, Year, flights, play
from benchmarks.drift_rules import IN_USE, RULES, learned
from benchmarks.drift_worlds import KINDS, Training, World, summed_nights
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from gmmdask.monitoring import Verdict

MONTH = 28
SINCE = "since the change"
WINDOWS = 10
"""Of every world."""
MOST_RETRAININGS = 10
MOST_FALSE_VERDICTS = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Quiet:
    """What the rules said on quiet windows of one kind: shares of not keeping by rule."""

    kind: str
    rows: int
    windows: int
    false: tuple[float, ...]


def quiet(kind: str, rows: int, worlds: int, windows: int) -> Quiet:
    """Judge windows of nights like those of the training, one after the other, without ever training."""
    false = [one for seed in range(worlds) for one in _false_verdicts(World.of(seed, kind, rows), windows)]
    return Quiet(kind=kind, rows=rows, windows=len(false), false=tuple(np.mean(false, axis=0).tolist()))


def _false_verdicts(world: World, windows: int) -> list[list[bool]]:
    """Return for every window which rules would train."""
    training = Training.of(world)
    champion = training.champion
    nulls = learned(training.sums, champion, RULES, MONTH)
    found = []
    for _ in range(windows):
        window = summed_nights(champion, (world.night() for _ in range(MONTH))).total()
        found.append([rule.retrains(window, champion, null) for rule, null in zip(RULES, nulls, strict=True)])
    return found


def run(options: Options) -> Section:
    """Play the year, then the worlds."""
    kinds = KINDS[:1] if options.small else KINDS
    with flights(small=options.small) as year:
        played = _years(year, small=options.small)
    sizes = [(300, 1)] if options.small else [(2_000, 4 * options.repeats), (50_000, options.repeats)]
    still = [quiet(kind, rows, worlds, 1 if options.small else WINDOWS) for rows, worlds in sizes for kind in kinds]
    lines, missed = verdicts("drift_rule", _checks(played, still))
    return Section(
        name="drift_rule",
        title="When to retrain",
        lines=(*_year_lines(played), "", *_quiet_lines(still), "", *lines),
        missed=missed,
    )


def _years(year: Year, *, small: bool) -> dict[tuple[str, str], Played]:
    in_use = {(IN_USE.name, SINCE): play(year, IN_USE, "since")}
    if small:
        return in_use
    rules = {"never": 999, "every 28 nights": MONTH} | {rule.name: rule for rule in RULES}
    ranges: dict[str, Range] = {"all nights": "all", "28": MONTH}
    return {
        (name, label): play(year, rule, trained_on)
        for name, rule in rules.items()
        for label, trained_on in ranges.items()
    } | in_use


def _year_lines(played: dict[tuple[str, str], Played]) -> list[str]:
    rows = [[name, label, len(one.retrained), f"{one.score:.3f}"] for (name, label), one in played.items()]
    acted = played[IN_USE.name, SINCE]
    trainings = [_training(date, verdict) for date, verdict in acted.retrained]
    header = ["night", "verdict", "G", "ordinary", "excess", "means", "component", "part", "its share"]
    return [
        "Flights, April to December, one night a day; score: mean log density per row of nights to come.",
        "",
        *table(["rule", "trained on", "retrainings", "score"], rows),
        "",
        f"The rule in use, trained on the nights since the change; {acted.alerts} nights alarmed. Means: their share of G;",
        "then the largest part of a single component, and its share.",
        "",
        *table(header, trainings),
    ]


def _training(date: str, verdict: Verdict) -> list[object]:
    if verdict.gain is None:
        return [date, verdict.decision, *["–"] * 7]
    component, part = verdict.gain.largest
    share = verdict.gain.parts[part][component] / verdict.gain.total
    numbers = [f"{verdict.numbers[name]:.3f}" for name in ("gain", "ordinary", "excess")]
    means = verdict.numbers["gain_mean"] / verdict.numbers["gain"]
    return [date, verdict.decision, *numbers, f"{means:.0%}", component + 1, part, f"{share:.0%}"]


def _quiet_lines(still: Sequence[Quiet]) -> list[str]:
    rows = [[f"{one.kind}, {one.rows:,} rows", one.windows, *(f"{share:.1%}" for share in one.false)] for one in still]
    return [
        f"Quiet windows of {MONTH} nights, {WINDOWS} in every world: share that ends in anything but keep, by rule.",
        "",
        *table(["kind", "windows", "seen", "left out", "weeks", "×1.25", "×1.5"], rows),
    ]


def _checks(played: dict[tuple[str, str], Played], still: Sequence[Quiet]) -> list[tuple[str, bool]]:
    most = max(len(one.retrained) for (name, _), one in played.items() if name == IN_USE.name)
    false = max(one.false[RULES.index(IN_USE)] for one in still)
    return [
        (f"at most {MOST_RETRAININGS} retrainings in the nine months of flights: {most}", most <= MOST_RETRAININGS),
        (
            f"at most {MOST_FALSE_VERDICTS:.0%} of the quiet windows in any row not kept by the rule in use: {false:.1%}",
            false <= MOST_FALSE_VERDICTS,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=20)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

"""A year of flights under a rule: trained on January to March, then night by night."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from benchmarks.drift_rules import Rule
from benchmarks.drift_rules import learned as learned_by
from benchmarks.drift_worlds import Floats
from gmmdask import open_lake
from gmmdask.engine import LocalEngine
from gmmdask.engine.dates import SummaryByDate, by_date
from gmmdask.engine.port import HeldData
from gmmdask.lake import PreparedSource
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.monitoring import Champion, LastAttempt, NightSums, Verdict, judge, retrained
from gmmdask.monitoring.null import NullDistribution
from gmmdask.preparation import Recipe
from gmmdask.training.em_loop import summarize_leaf
from gmmdask.training.grid import fit_grid
from gmmdask.training.results import GridSpec
from gmmdask.training.survey import survey_source
from infra.demonstration import write_demonstration

FEATURES = ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_minute")
BOOTSTRAP, END = "2013-03-31", "2013-12-31"
SMALL_BOOTSTRAP, SMALL_END = "2013-01-31", "2013-03-03"
WARM_PASSES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Year:
    """Every flight, prepared as the first champion's recipe has it, in memory; the first champion; what it scales by."""

    data: HeldData
    first: MixtureParameters
    reference: Reference
    dates: tuple[str, ...]
    bootstrap: str
    source: PreparedSource
    spread: Reference

    @property
    def champion(self) -> Champion:
        """The first one."""
        return Champion(parameters=self.first, reference=self.reference)

    def night(self, date: str) -> Floats:
        """Return a night's rows, prepared, those with missing values among them."""
        lake = self.source.source
        places = [place for place, partition in enumerate(lake.partitions) if partition.date == date]
        raw = np.concatenate([leaf.values for place in places for leaf in lake.read(place)], axis=1)
        return (raw - self.spread.centre[:, None]) / self.spread.scale[:, None]

    def nights(self, champion: Champion) -> NightSums:
        """Return every night's sums under a champion: one pass."""
        pass_by_date = by_date(self.source, summarize_leaf, (champion.stack,))
        found: SummaryByDate[SufficientStatistics] = self.data.map_reduce(*pass_by_date, name="drift")
        return NightSums.of(champion.stack.layout, found.summaries)

    def warm_started(self, champion: Champion, first: str, last: str) -> Champion:
        """Return the champion after a few EM steps on the nights from first to last."""
        for _ in range(WARM_PASSES):
            parameters, _ = retrained(self.nights(champion).between(first, last).total(), champion)
            champion = Champion(parameters=parameters, reference=self.reference)
        return champion


@contextmanager
def flights(*, small: bool) -> Iterator[Year]:
    """Write the demonstration's lake, fit its first champion and hold the year."""
    engine = LocalEngine(1)
    with TemporaryDirectory() as folder:
        write_demonstration(Path(folder, "lake"))
        bootstrap, end = (SMALL_BOOTSTRAP, SMALL_END) if small else (BOOTSTRAP, END)
        lake = open_lake(str(Path(folder, "lake")), features=FEATURES).where(dt=(None, end))
        early = lake.where(dt=(None, bootstrap))
        survey = survey_source(early, engine)
        spread = survey.reference
        recipe = Recipe.affine(features=FEATURES, centre=spread.centre.tolist(), scale=spread.scale.tolist())
        spec = GridSpec(n_components=(2,) if small else tuple(range(1, 11)), covariance_types=("full",))
        prepared = PreparedSource(source=early, recipe=recipe, infinite="drop")
        grid = fit_grid(prepared, engine, survey.prepared(recipe), spec)
        if grid.best.parameters is None:
            raise ValueError("the grid of flights has no winner")
        whole = PreparedSource(source=lake, recipe=recipe, infinite="drop")
        with engine.hold(whole) as data:
            yield Year(
                data=data,
                first=grid.best.parameters,
                reference=grid.reference,
                dates=lake.dates,
                bootstrap=bootstrap,
                source=whole,
                spread=spread,
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """What became of the nine months.

    Parameters
    ----------
    retrained : tuple of (str, Verdict)
        The nights on which the verdict was not keep.
    score : float
        Mean log density per row of the nights after the bootstrap, each under the champion in force before it.
    alerts : int
        Nights that alarmed.
    """

    retrained: tuple[tuple[str, Verdict], ...]
    score: float
    alerts: int


Range = int | Literal["all", "since"]
"""What is trained on: so many nights, all, or those since the change began; of the last, the nulls of champions join."""


def play(year: Year, rule: Rule | int, trained_on: Range) -> Played:
    """Play the nights after the bootstrap; a number instead of a rule retrains whenever so many nights have passed.

    Every training is a warm start: a new grid would cost minutes and change the comparison by hundredths of a nat.
    """
    start = year.dates.index(year.bootstrap) + 1
    champion = year.champion
    nights, trained = year.nights(champion), start
    null = _null(nights, champion, year.dates[:trained], rule)
    acted: list[tuple[str, Verdict]] = []
    log_likelihood = mass = 0.0
    alerts = 0
    for number in range(start, len(year.dates)):
        tonight = nights.night(year.dates[number])
        log_likelihood, mass = log_likelihood + float(tonight.log_likelihoods[0]), mass + tonight.mass
        verdict = _judged(nights, year.dates[number], champion, null, year.dates[trained - 1], rule)
        alerts += bool(verdict.alerts or verdict.unit_change)
        due = number + 1 - trained >= rule if isinstance(rule, int) else verdict.decision != "keep"
        if due:
            acted.append((year.dates[number], verdict))
            trained = number + 1
            first = _first(year, verdict, trained, trained_on)
            champion = year.warm_started(champion, year.dates[first], year.dates[trained - 1])
            nights = year.nights(champion)
            learned = _null(nights, champion, year.dates[first:trained], rule)
            null = learned.joined(null) if trained_on == "since" and learned and null else learned
    return Played(retrained=tuple(acted), score=log_likelihood / mass, alerts=alerts)


def _first(year: Year, verdict: Verdict, trained: int, trained_on: Range) -> int:
    if isinstance(trained_on, int):
        return max(trained - trained_on, 0)
    return year.dates.index(verdict.since) if trained_on == "since" and verdict.since else 0


def _null(nights: NightSums, champion: Champion, dates: tuple[str, ...], rule: Rule | int) -> NullDistribution | None:
    if isinstance(rule, int):
        return None
    return learned_by(nights.only(dates), champion, [rule], rule.thresholds.window)[0]


def _judged(
    nights: NightSums, tonight: str, champion: Champion, null: NullDistribution | None, last: str, rule: Rule | int
) -> Verdict:
    if null is None or isinstance(rule, int):
        return Verdict(decision="keep", reason="by the calendar")
    return judge(nights, tonight, champion, null, LastAttempt(date=last), rule.thresholds)

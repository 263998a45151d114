"""What the trend page tells, as values. How it is read is `reading`; how it is told is `story`, `tables`, `figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise

from gmmdask.report.findings import Row

MOSTLY_DAILY = 0.2
"""A lake with fewer than this share of its dates absent is taken for a daily one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """One date with the labels that readers see.

    Parameters
    ----------
    dt : datetime.date
    model_id : str
        Whose labels they are.
    rows, rows_ok : int
        All, and those with a segment.
    anomalies : int, optional
        None without a threshold.
    mean_log_density : float, optional
        Nats; None where no row has a segment.
    sizes : mapping of int to int
        Rows by segment id.
    """

    dt: date
    model_id: str
    rows: int
    rows_ok: int
    anomalies: int | None
    mean_log_density: float | None
    sizes: Mapping[int, int]

    def share(self, segment_id: int) -> float:
        """Return the segment's share of the rows that have one."""
        return self.sizes.get(segment_id, 0) / self.rows_ok if self.rows_ok else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """A run that judged or labelled a date for the first time, or repeated it.

    Parameters
    ----------
    kind : {"night", "repeat"}
    challenger_id : str, optional
        The model it trained, also where that became champion at once.
    champion_id : str, optional
        The model in force from then on; None for a repeat, which changes none.
    """

    run_id: str
    dt: date
    kind: str
    action: str
    status: str
    verdict: str | None
    reason: str | None
    challenger_id: str | None
    champion_id: str | None
    champion_score: float | None
    challenger_score: float | None
    seconds: float

    @property
    def is_first(self) -> bool:
        """Whether it trained the first model of all."""
        return self.action == "first"

    @property
    def calls(self) -> bool:
        """Whether drift called for a retraining."""
        return self.verdict not in (None, "keep")

    @property
    def retrained(self) -> bool:
        """Whether it trained a model that was to replace another."""
        return self.challenger_id is not None and not self.is_first

    @property
    def promoted(self) -> bool:
        """Whether what it trained became the champion."""
        return self.challenger_id is not None and self.challenger_id == self.champion_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """The drift statistic of one night: what a retraining step would surely gain, in nats per row."""

    dt: date
    value: float | None
    reference: float | None
    threshold: float | None
    is_alarm: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Reign:
    """A publication that said which model is in force."""

    champion_id: str
    kind: str
    dt: date
    published_at: datetime
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """A segment through the years.

    Parameters
    ----------
    origin : str, optional
        How it came to the first model that had it: born, split or merged; None in a first model.
    predecessors : tuple of int
        What it then came from.
    """

    segment_id: int
    name: str | None
    origin: str | None = None
    predecessors: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Its name, or its number where it has none."""
        return self.name or f"Segment {self.segment_id}"


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Everything the page tells of a segmentation.

    Parameters
    ----------
    days : tuple of Day
        Every published date, in order.
    nights : tuple of Night
        The run that judged each date, in order of dates.
    trainings : tuple of Night
        The runs that called for a model or trained one, in order of dates.
    windows, tonight : tuple of Gain
        The statistic over the trailing window, and over each night alone.
    alarms : sequence of mappings
        Rows of `drift` that count, in order of dates.
    reigns : tuple of Reign
        Every publication that named a champion, the latest last.
    lives : tuple of Life
        Every segment that ever had a row, in order of ids.
    members : mapping of str to set of int
        The segments of every model that labelled, by its id.
    expected_anomalies : float, optional
        The share of rows that the settings would flag where nothing changes.
    """

    segmentation: str
    days: tuple[Day, ...]
    nights: tuple[Night, ...]
    trainings: tuple[Night, ...]
    windows: tuple[Gain, ...]
    tonight: tuple[Gain, ...]
    alarms: Sequence[Row]
    reigns: tuple[Reign, ...]
    lives: tuple[Life, ...]
    members: Mapping[str, frozenset[int]] = field(default_factory=dict)
    expected_anomalies: float | None = None

    def counting(self, life: Life, days: Sequence[Day]) -> list[Day]:
        """Return the dates on which a segment has a share, be it 0: some row is labelled, by a model that has it."""
        own = life.segment_id
        return [one for one in days if one.rows_ok and own in {*self.members.get(one.model_id, ()), *one.sizes}]

    @property
    def champion(self) -> Reign:
        """The publication since which the present champion has been in force without a break."""
        since = self.reigns[-1]
        for reign in reversed(self.reigns):
            if reign.champion_id != since.champion_id:
                break
            since = reign
        return since

    @cached_property
    def changes(self) -> tuple[Reign, ...]:
        """The publications that changed the champion; the first of all is none."""
        return tuple(new for old, new in pairwise(self.reigns) if new.champion_id != old.champion_id)

    @property
    def by_hand(self) -> tuple[Reign, ...]:
        """Promotions and rollbacks, told by someone."""
        return tuple(reign for reign in self.reigns if reign.kind in ("promote", "rollback"))

    @cached_property
    def alerted(self) -> tuple[date, ...]:
        """Nights that want attention: with an alarm, a verdict that is not keep, or a status that says so."""
        found = {row["dt"] for row in self.alarms}
        found |= {night.dt for night in self.nights if night.calls or night.status == "alert"}
        return tuple(sorted(found))

    @cached_property
    def missing(self) -> tuple[date, ...]:
        """Dates between the first and the last that lack labels where nearly every other day has them."""
        known = {day.dt for day in self.days}
        first, last = self.days[0].dt, self.days[-1].dt
        every = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
        absent = tuple(dt for dt in every if dt not in known)
        return absent if len(absent) < MOSTLY_DAILY * len(every) else ()

"""What a report tells, as values. Where it was read is `reading`; how it is told is `story`, `tables` and `figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from gmmdask.training.results import Candidate

Row = Mapping[str, Any]

CORE = 0.9
"""A row belongs to the core of its segment from this probability on, as `segments.certain_rows` counts."""

NARROW_MARGIN = 0.2
"""A row lies on a boundary when its two most probable segments are less than this apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One segment as the run found it.

    Parameters
    ----------
    segment_id, position : int
        Its stable id, and its place in the model.
    name : str, optional
        What an analyst called it.
    size : int
        Rows of the run.
    share, weight : float
        Of the run's rows with a segment, and in the model.
    anomalies : int, optional
        Its rows that are flagged; None without a threshold.
    earlier_share : float, optional
        Its share in the nights before that have labels of the same model; None in the run that trained it.
    """

    segment_id: int
    position: int
    name: str | None
    size: int
    share: float
    weight: float
    anomalies: int | None = None
    earlier_share: float | None = None

    @property
    def label(self) -> str:
        """Its name, or its number where it has none."""
        return self.name or f"Segment {self.segment_id}"


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """What segments look like in original units; the id None stands for all rows together.

    Parameters
    ----------
    features : tuple of str
        Clustered columns, those that tell the segments apart most first.
    described : tuple of str
        Columns that were counted only.
    measured : mapping of (segment id, feature, statistic) to float
    categories : mapping of (segment id, column) to sequence of (value, share)
        The most frequent first.
    units : mapping of str to str
        Of the features that have one.
    """

    features: tuple[str, ...]
    described: tuple[str, ...]
    measured: Mapping[tuple[int | None, str, str], float]
    categories: Mapping[tuple[int | None, str], Sequence[tuple[str, float]]]
    units: Mapping[str, str] = field(default_factory=dict)

    def value(self, segment_id: int | None, feature: str, statistic: str) -> float | None:
        """Return a statistic, or None where a segment has no rows."""
        return self.measured.get((segment_id, feature, statistic))

    def difference(self, segment_id: int, feature: str) -> float | None:
        """Return how far a segment's mean lies from that of all rows, in standard deviations of all rows."""
        mean, whole = self.value(segment_id, feature, "mean"), self.value(None, feature, "mean")
        spread = self.value(None, feature, "sd")
        if mean is None or whole is None or not spread:
            return None
        return (mean - whole) / spread

    def share(self, segment_id: int | None, column: str, value: str) -> float:
        """Return the share of a value of a described column."""
        return dict(self.categories.get((segment_id, column), ())).get(value, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Certainty:
    """How sure the rows of one segment are.

    Parameters
    ----------
    core, between, boundary : int
        Rows with a probability of at least 0.9; rows whose best two segments are less than 0.2 apart; and the rest.
    neighbour : int, optional
        Position of the segment that rows on the boundary would most often belong to otherwise.
    """

    core: int
    between: int
    boundary: int
    neighbour: int | None = None

    @property
    def rows(self) -> int:
        """All rows of the segment."""
        return self.core + self.between + self.boundary


@dataclass(frozen=True, kw_only=True, slots=True)
class Densities:
    """How the log densities of a run are spread: rows by bin, the outermost bins holding all that lies beyond.

    Parameters
    ----------
    low, width : float
        Where the first bin begins, and how wide each is, in nats.
    counts : tuple of int
    """

    low: float
    width: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The run in which the model in use was trained.

    Parameters
    ----------
    run_id : str
    dt : datetime.date
        The night of that run.
    training_rows : int
    warnings : str, optional
        As JSON: what was to know of the columns.
    """

    run_id: str
    dt: date
    training_rows: int
    warnings: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """The champion in force before a run; night and rows of its training where they are known."""

    model_id: str
    dt: date | None = None
    training_rows: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What of a run was published, and when."""

    first: date
    last: date
    dates: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything a report tells of one run.

    Parameters
    ----------
    run : mapping
        Its row in `runs`.
    published : Published
    segments : tuple of Segment
    profiles : Profiles
    certainty : mapping of int to Certainty
        By position; empty where the labels have been replaced since.
    densities : Densities, optional
    strangest, drift, lineage, partitions : sequence of mappings
        The rows of lowest log density, the rows of `drift`, the sums of `lineage` and its beginning.
    candidates : tuple of Candidate
        The grid of this run or of the run that trained the model; empty where neither is known.
    best : Candidate, optional
    origin : Origin, optional
        Where the model comes from, if that is another run.
    warnings : tuple of str
        What to know of the columns that the model was trained on.
    names : mapping of int to str
        What analysts called any segment that there ever was.
    before : Before, optional
        The champion that a challenger of this run stood against.
    """

    run: Row
    published: Published
    segments: tuple[Segment, ...]
    profiles: Profiles
    certainty: Mapping[int, Certainty]
    densities: Densities | None
    strangest: Sequence[Row]
    drift: Sequence[Row]
    lineage: Sequence[Row]
    partitions: Sequence[Row]
    candidates: tuple[Candidate, ...] = ()
    best: Candidate | None = None
    origin: Origin | None = None
    warnings: tuple[str, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    before: Before | None = None

    @cached_property
    def by_id(self) -> Mapping[int, Segment]:
        """Segments by their id."""
        return {segment.segment_id: segment for segment in self.segments}

    @cached_property
    def by_position(self) -> Mapping[int, Segment]:
        """Segments by their place in the model."""
        return {segment.position: segment for segment in self.segments}

    @property
    def trained_here(self) -> bool:
        """Whether the model in use was trained in this run."""
        return self.origin is None and self.run["training_rows"] is not None

    def name(self, segment_id: int) -> str | None:
        """Return what a segment of now or before was called; None where it has no name."""
        known = self.by_id.get(segment_id)
        return known.name if known and known.name else self.names.get(segment_id)

    def label(self, segment_id: int) -> str:
        """Return the name of a segment of now or before, or its number where it has none."""
        return self.name(segment_id) or f"Segment {segment_id}"

    @property
    def core_rows(self) -> int | None:
        """Rows with a probability of at least 0.9; None where the labels have been replaced since."""
        return sum(one.core for one in self.certainty.values()) if self.certainty else None

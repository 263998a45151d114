"""What the rows of `drift` say of one night, as values: gains, what moved, tests of columns, and the challenger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from gmmdask.report.findings import Findings, Row

UNIT_CHANGE = "unit_change"
PARTS = ("weight", "mean", "covariance")


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """What a step of retraining would gain on some nights, in nats per row.

    Parameters
    ----------
    value : float
    limit : float, optional
        Up to where it is ordinary; None where that is not known.
    usual : float, optional
        Its median where nothing changed.
    is_alarm : bool
    reason : str
        Empty where nothing is to be said.
    rows : int
    start : datetime.date
        First night measured.
    """

    value: float
    limit: float | None
    usual: float | None
    is_alarm: bool
    reason: str
    rows: int
    start: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What one segment adds to a gain, in nats per row, by part."""

    segment_id: int
    weight: float
    mean: float
    covariance: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weight + self.mean + self.covariance


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnTest:
    """One measurement of a column, or of the number of rows where `column` is None."""

    statistic: str
    column: str | None
    category: str | None
    value: float | None
    usual: float | None
    limit: float | None
    unit: str
    is_alarm: bool
    reason: str

    @property
    def nearness(self) -> float:
        """How much of the way from the usual to the limit it has gone; 0 where nothing is judged."""
        if self.value is None or self.usual is None or self.limit is None or self.limit == self.usual:
            return 0.0
        return (self.value - self.usual) / (self.limit - self.usual)


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """What came of a verdict that called for training.

    Parameters
    ----------
    action : str
        warm-start or refit.
    reason : str
        The gate's, in words; empty where nothing was trained.
    challenger_id : str, optional
        None where nothing came of a training, or none was done.
    is_promoted : bool
    champion_score, challenger_score : float, optional
        Held out, in nats per row.
    training_rows : int, optional
    """

    action: str
    reason: str
    challenger_id: str | None
    is_promoted: bool
    champion_score: float | None
    challenger_score: float | None
    training_rows: int | None

    @property
    def difference(self) -> float | None:
        """By how much the challenger is better; None without scores."""
        if self.champion_score is None or self.challenger_score is None:
            return None
        return self.challenger_score - self.champion_score


@dataclass(frozen=True, kw_only=True)
class Change:
    """Whether anything changed, and what.

    Parameters
    ----------
    verdict, reason : str
    window, night : Gain, optional
        The window is None where it could not be judged, the night where it brought no rows.
    moves : tuple of Move
        Of the nights that `moved_in` tells; the largest first.
    moved_in : {"window", "recent", "night"}
        The window; before it can be judged, the last nights together where they alarm, or else the night.
    recent : tuple of str
        What of the last nights together alarms, in words.
    tests : tuple of ColumnTest
        Alarms first, then what came nearest to one.
    challenge : Challenge, optional
    """

    verdict: str
    reason: str
    window: Gain | None = None
    night: Gain | None = None
    moves: tuple[Move, ...] = ()
    moved_in: str = "window"
    recent: tuple[str, ...] = ()
    tests: tuple[ColumnTest, ...] = ()
    challenge: Challenge | None = field(default=None)

    @property
    def alarms(self) -> tuple[ColumnTest, ...]:
        """Columns that raised an alarm."""
        return tuple(test for test in self.tests if test.is_alarm)

    @property
    def unit_changes(self) -> tuple[ColumnTest, ...]:
        """Columns that seem to have come in another unit tonight."""
        return tuple(test for test in self.alarms if test.statistic == UNIT_CHANGE)

    @property
    def is_ordinary(self) -> bool:
        """Whether all gains are, whatever single columns say."""
        return self.verdict == "keep" and not (self.recent or (self.night and self.night.is_alarm))


def change_of(findings: Findings) -> Change | None:
    """Return what the rows of `drift` say; None where drift was not judged."""
    decided = next((row for row in findings.drift if row["verdict"] is not None), None)
    if decided is None:
        return None
    reason = str(decided["reason"] or "").rstrip(".")
    window, night = (_gain(findings.drift, scope) for scope in ("window", "night"))
    tests = [_test(row) for row in findings.drift if _is_test(row)]
    tests.sort(key=_urgency)
    recent = tuple(row["reason"] for row in findings.drift if row["scope"] == "recent" and row["is_alarm"])
    moved_in = "window" if window is not None else "recent" if recent else "night"
    return Change(
        verdict=str(decided["verdict"]),
        reason=reason,
        window=window,
        night=night,
        moves=_moves(findings.drift, moved_in),
        moved_in=moved_in,
        recent=recent,
        tests=tuple(tests),
        challenge=_challenge(findings.run, str(decided["verdict"]), reason),
    )


def _gain(drift: Sequence[Row], scope: str) -> Gain | None:
    found = (
        row
        for row in drift
        if (row["statistic"], row["scope"]) == ("gain", scope) and row["segment_id"] is row["part"] is None
    )
    row = next(found, None)
    if row is None or row["value"] is None:
        return None
    return Gain(
        value=row["value"],
        limit=row["threshold"],
        usual=row["reference"],
        is_alarm=row["is_alarm"],
        reason=row["reason"] or "",
        rows=row["rows"],
        start=row["window_start"],
    )


def _moves(drift: Sequence[Row], scope: str) -> tuple[Move, ...]:
    parts: dict[int, dict[str, float]] = {}
    for row in drift:
        if (
            (row["statistic"], row["scope"]) == ("gain", scope)
            and row["part"] in PARTS
            and row["segment_id"] is not None
        ):
            parts.setdefault(row["segment_id"], dict.fromkeys(PARTS, 0.0))[row["part"]] = row["value"] or 0.0
    moves = [Move(segment_id=segment_id, **values) for segment_id, values in parts.items()]
    return tuple(sorted(moves, key=lambda move: (-move.total, move.segment_id)))


def _urgency(test: ColumnTest) -> tuple[object, ...]:
    """Alarms come first, of these a change of unit, which explains others; then what went furthest."""
    is_unit = test.statistic == UNIT_CHANGE
    return not test.is_alarm, not is_unit, -test.nearness, test.column or "", test.category or "", test.statistic


def _is_test(row: Row) -> bool:
    return row["feature"] is not None or row["statistic"] == "row_count"


def _test(row: Row) -> ColumnTest:
    reason = str(row["reason"] or "")
    if row["statistic"] == UNIT_CHANGE and reason.startswith(row["feature"]):
        reason = f"column {reason}"  # a name stays as it is written, and does not begin a sentence
    return ColumnTest(
        statistic=row["statistic"],
        column=row["feature"],
        category=row["category"],
        value=row["value"],
        usual=row["reference"],
        limit=row["threshold"],
        unit=row["unit"],
        is_alarm=row["is_alarm"],
        reason=reason,
    )


def _challenge(run: Row, verdict: str, reason: str) -> Challenge | None:
    if verdict == "keep":
        return None
    told = str(run["reason"] or "").removeprefix(f"Verdict {verdict}: {reason}.").strip()
    return Challenge(
        action=verdict,
        reason=told,
        challenger_id=run["challenger_id"],
        is_promoted=run["challenger_id"] is not None and run["challenger_id"] == run["model_id"],
        champion_score=run["champion_score"],
        challenger_score=run["challenger_score"],
        training_rows=run["training_rows"] if run["challenger_id"] is not None else None,
    )

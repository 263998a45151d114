"""The tables of the trend page, as rows of texts: what the template lays out. Digits and order are decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gmmdask.report.findings import Row
from gmmdask.report.trend.findings import Gain, Life, Night, Reign, Trend
from gmmdask.report.trend.story import mean_shares
from gmmdask.report.wording import NOTHING, brief, day, listed, measure, percent, shortened, signed

LONGEST_ALERTS = 120
LONGEST_VALUE = 40
BY_HAND = {"promote": "promoted by hand", "rollback": "rolled back to"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRow:
    """A segment from its first date to its last."""

    life: Life
    before: str
    after: str
    lowest: str
    highest: str
    bar: float
    seen: str
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRow:
    """A training, a call for one, or a change of champion by hand."""

    dt: date
    what: str
    model: str
    champion_score: str
    challenger_score: str
    difference: str
    outcome: str
    is_promoted: bool
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRow:
    """Something that wants attention."""

    dt: date
    what: str
    where: str
    value: str
    threshold: str
    reason: str


def segment_rows(trend: Trend) -> list[SegmentRow]:
    """Return the segments by id, with their mean share on the first dates and on the last."""
    means = [mean_shares(trend, life) for life in trend.lives]
    largest = max((after or 0.0 for _, after in means), default=0.0)
    return [_segment(trend, life, *own, largest) for life, own in zip(trend.lives, means, strict=True)]


def training_rows(trend: Trend) -> list[TrainingRow]:
    """Return trainings, calls for one, and changes by hand, the latest first."""
    rows = [*(_training(night) for night in trend.trainings), *(_changed(reign) for reign in trend.by_hand)]
    return sorted(rows, key=lambda row: row.dt, reverse=True)


def alert_rows(trend: Trend) -> tuple[list[AlertRow], int]:
    """Return what wants attention, the latest first, at most as much as a reader wants to see, and how much is left out."""
    told = {row["dt"] for row in trend.alarms}
    lives = {life.segment_id: life for life in trend.lives}
    gains = {gain.dt: gain for gain in trend.windows}
    rows = [_alarm(row, lives) for row in trend.alarms]
    rows += [_verdict(night, gains.get(night.dt)) for night in trend.nights if night.calls]
    rows += [_status(one) for one in trend.nights if one.status == "alert" and not one.calls and one.dt not in told]
    rows.sort(key=lambda row: (-row.dt.toordinal(), row.what, row.where))
    return rows[:LONGEST_ALERTS], max(0, len(rows) - LONGEST_ALERTS)


def _segment(trend: Trend, life: Life, before: float | None, after: float | None, largest: float) -> SegmentRow:
    days = trend.counting(life, trend.days)
    shares = [one.share(life.segment_id) for one in days]
    return SegmentRow(
        life=life,
        before=percent(before),
        after=percent(after),
        lowest=percent(min(shares)),
        highest=percent(max(shares)),
        bar=round(100 * (after or 0.0) / largest, 1) if largest else 0.0,
        seen=_seen(trend, [one.dt for one in days]),
        origin=_origin(life),
    )


def _seen(trend: Trend, dates: list[date]) -> str:
    since = "" if dates[0] == trend.days[0].dt else f"since {day(dates[0])}"
    until = "" if dates[-1] == trend.days[-1].dt else f"until {day(dates[-1])}"
    return ", ".join(part for part in (since, until) if part) or "throughout"


def _origin(life: Life) -> str:
    if life.origin in (None, "kept"):
        return ""
    parents = listed([str(one) for one in life.predecessors])
    return f"{life.origin} from {parents}" if parents else str(life.origin)


def _training(night: Night) -> TrainingRow:
    difference = None
    if night.champion_score is not None and night.challenger_score is not None:
        difference = night.challenger_score - night.champion_score
    return TrainingRow(
        dt=night.dt,
        what="first model" if night.is_first else str(night.verdict or night.action),
        model=brief(night.challenger_id),
        champion_score=_score(night.champion_score),
        challenger_score=_score(night.challenger_score),
        difference=NOTHING if difference is None else signed(difference, 4),
        outcome=_outcome(night),
        is_promoted=night.promoted,
        reason=night.reason or "",
    )


def _outcome(night: Night) -> str:
    if night.challenger_id is None:
        return "announced only"
    if night.is_first:
        return "champion"
    return "promoted" if night.promoted else "not promoted"


def _changed(reign: Reign) -> TrainingRow:
    return TrainingRow(
        dt=reign.dt,
        what=reign.kind,
        model=brief(reign.champion_id),
        champion_score=NOTHING,
        challenger_score=NOTHING,
        difference=NOTHING,
        outcome=BY_HAND[reign.kind],
        is_promoted=True,
        reason=reign.reason or "",
    )


def _alarm(row: Row, lives: Mapping[int, Life]) -> AlertRow:
    life = lives.get(row["segment_id"])
    segment = life.label if life else row["segment_id"] and f"Segment {row['segment_id']}"
    where = [segment, row["part"], row["feature"], row["category"]]
    return AlertRow(
        dt=row["dt"],
        what=_statistic(row),
        where=", ".join(shortened(str(part), LONGEST_VALUE) for part in where if part) or "all rows",
        value=f"{measure(row['value'])} {_unit(row)}".strip(),
        threshold=measure(row["threshold"]),
        reason=row["reason"] or "",
    )


def _statistic(row: Row) -> str:
    names = {"gain": "drift", "psi": "PSI", "ks": "Kolmogorov-Smirnov"}
    return names.get(row["statistic"], str(row["statistic"]).replace("_", " "))


def _unit(row: Row) -> str:
    return "" if row["unit"] == "share" else str(row["unit"]).replace("nats per row", "nats")


def _verdict(night: Night, gain: Gain | None) -> AlertRow:
    return AlertRow(
        dt=night.dt,
        what=f"verdict {night.verdict}",
        where="the model",
        value=NOTHING if gain is None or gain.value is None else f"{measure(gain.value)} nats",
        threshold=NOTHING if gain is None else measure(gain.threshold),
        reason=night.reason or "",
    )


def _status(night: Night) -> AlertRow:
    return AlertRow(
        dt=night.dt, what="the run", where="the model", value=NOTHING, threshold=NOTHING, reason=night.reason or ""
    )


def _score(score: float | None) -> str:
    return NOTHING if score is None else f"{score:,.4f}".replace("-", "−")

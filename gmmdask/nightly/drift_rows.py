"""Rows of the table `drift`: the verdict with its numbers, what moved by segment and part, and every feature's tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from gmmdask.monitoring import FeatureAlarm, Gain, Verdict
from gmmdask.monitoring.alerts import RECENT, TONIGHT
from gmmdask.monitoring.gain import Part
from gmmdask.monitoring.null import RUN
from gmmdask.nightly.watch import Watched

Row = dict[str, Any]
NATS = "nats per row"


def drift_rows(watched: Watched, dt: date) -> list[Row]:
    """Return the rows of one night.

    Parameters
    ----------
    watched : Watched
    dt : datetime.date
    """
    segment_ids = watched.champion.segments.segment_ids
    return [
        *_window_rows(watched.verdict, dt, segment_ids),
        *_unit_rows(watched, dt),  # what explains the others comes first
        *_night_rows(watched.verdict, dt, segment_ids, watched.rows),
        *(_feature_row(alarm, dt, watched.rows) for alarm in watched.alarms),
    ]


def _window_rows(verdict: Verdict, dt: date, segment_ids: Sequence[int]) -> Iterator[Row]:
    start = date.fromisoformat(verdict.window[0]) if verdict.window else dt
    common: Row = {"dt": dt, "scope": "window", "window_start": start, "statistic": "gain", "unit": NATS}
    common["rows"] = 0 if verdict.gain is None else round(verdict.gain.mass)
    numbers = verdict.numbers
    yield {
        **common,
        "value": None if verdict.gain is None else verdict.gain.total,
        "reference": numbers.get("null_median"),
        "threshold": numbers.get("ordinary"),
        "is_alarm": verdict.decision != "keep",
        "verdict": verdict.decision,
        "reason": verdict.reason,
    }
    if verdict.gain is not None:
        yield {**common, "statistic": "gain_theory", "value": numbers["theory"], "is_alarm": False}
        yield from _parts(common, verdict.gain, segment_ids)


def _night_rows(verdict: Verdict, dt: date, segment_ids: Sequence[int], rows: int) -> Iterator[Row]:
    if verdict.tonight is None:
        return
    common: Row = {"dt": dt, "scope": "night", "window_start": dt, "rows": rows, "statistic": "gain", "unit": NATS}
    yield {**common, **_judged(verdict, TONIGHT), "reason": _told(verdict, TONIGHT, verdict.tonight, segment_ids)}
    yield from _parts(common, verdict.tonight, segment_ids)
    if verdict.recent is not None:
        common |= {"scope": "recent", "window_start": date.fromisoformat(verdict.window[-RUN])}
        common["rows"] = round(verdict.recent.mass)
        for part, name in RECENT.items():
            told = _told(verdict, name, verdict.recent, segment_ids, part)
            yield {**common, "part": part, **_judged(verdict, name), "reason": told}
        yield from _parts(common, verdict.recent, segment_ids)


def _judged(verdict: Verdict, name: str) -> Row:
    limit = verdict.numbers.get(f"{name}_limit")
    return {"value": verdict.numbers[name], "threshold": limit, "is_alarm": name in verdict.alerts}


def _told(verdict: Verdict, name: str, gain: Gain, segment_ids: Sequence[int], part: Part | None = None) -> str | None:
    """Return an alert with the segment to which most of it belongs; None where there is none."""
    if name not in verdict.alerts:
        return None
    component, largest = gain.largest if part is None else (int(gain.parts[part].argmax()), part)
    share = gain.parts[largest][component] / verdict.numbers[name]
    return f"{verdict.alerts[name]}; the {largest} of segment {segment_ids[component]} is {share:.0%} of it"


def _unit_rows(watched: Watched, dt: date) -> Iterator[Row]:
    """Yield the change of a feature's unit that explains the night, if there is one: its scale, 1 without a change."""
    change = watched.verdict.unit_change
    if change is None:
        return
    feature = watched.champion.segments.recipe.prepared_features[change.feature]
    yield {
        "dt": dt,
        "scope": "night",
        "window_start": dt,
        "rows": watched.rows,
        "statistic": "unit_change",
        "feature": feature,
        "value": change.scale,
        "unit": "ratio",
        "reference": 1.0,
        "is_alarm": True,
        "reason": change.told(feature),
    }


def _parts(common: Row, gain: Gain, segment_ids: Sequence[int]) -> Iterator[Row]:
    for part, values in gain.parts.items():
        for segment_id, value in zip(segment_ids, values.tolist(), strict=True):
            yield {**common, "segment_id": segment_id, "part": part, "value": value, "is_alarm": False}


def _feature_row(alarm: FeatureAlarm, dt: date, rows: int) -> Row:
    names = ("statistic", "feature", "category", "value", "unit", "reference", "threshold", "p_value", "is_alarm")
    return {
        "dt": dt,
        "scope": "night",
        "window_start": dt,
        "rows": rows,
        **{name: getattr(alarm, name) for name in names},
        "reason": alarm.reason,
    }

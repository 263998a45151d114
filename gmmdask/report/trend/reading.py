"""Read the trend of a segmentation out of the warehouse. Publications decide what is in force.

A date has the numbers of the run whose labels readers see, and the verdict of the latest night or repetition that judged
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from gmmdask.errors import UnknownNameError
from gmmdask.report.findings import Row
from gmmdask.report.trend import queries
from gmmdask.report.trend.findings import Day, Gain, Life, Night, Reign, Trend
from gmmdask.warehouse import Warehouse

DENSITY_DIGITS = 6
"""Decimals kept of a mean log density: the database adds in any order, and the page must not show it."""


def read_trend(warehouse: Warehouse, segmentation: str) -> Trend:
    """Return everything the trend page tells of a segmentation.

    Raises
    ------
    UnknownNameError
        Nothing of this segmentation was published.
    WarehouseError
        The warehouse cannot be read.
    """

    def rows(sql: str) -> list[dict[str, Any]]:
        return warehouse.query(sql, {"segmentation": segmentation}).to_pylist()

    published = rows(queries.DAYS)
    if not published:
        raise UnknownNameError(f"nothing was published of a segmentation {segmentation!r}; run a night first")
    days = _days(published, [*rows(queries.SIZES), *rows(queries.SPREAD_SIZES)])
    runs = rows(queries.NIGHTS)
    nights = _judged(runs)
    judged = {night.run_id for night in nights}
    drift = [row for row in rows(queries.DRIFT) if row["run_id"] in judged]
    reigns = tuple(Reign(**row) for row in rows(queries.REIGNS))
    seen = {segment_id for day in days for segment_id in day.sizes}
    lives = rows(queries.LIVES)
    return Trend(
        segmentation=segmentation,
        days=days,
        nights=nights,
        trainings=_trainings(runs),
        windows=_gains(drift, "window"),
        tonight=_gains(drift, "night"),
        alarms=[row for row in drift if row["is_alarm"]],
        reigns=reigns,
        lives=tuple(life for life in _lives(lives) if life.segment_id in seen),
        members=_members(lives),
        expected_anomalies=_expected(published[-1]["settings"]),
    )


def _days(published: Iterable[Row], sizes: Iterable[Row]) -> tuple[Day, ...]:
    by_date: dict[date, list[Row]] = {}
    for row in sizes:
        by_date.setdefault(row["dt"], []).append(row)
    return tuple(_day(row, by_date.get(row["dt"], [])) for row in published)


def _day(row: Row, sizes: Sequence[Row]) -> Day:
    scored = [one for one in sizes if one["segment_id"] is not None]
    ok = sum(one["size"] for one in scored)
    has_threshold = row["rows_anomalous"] is not None
    anomalies = sum(one["anomalies"] for one in scored) if row["is_spread"] else row["rows_anomalous"]
    return Day(
        dt=row["dt"],
        model_id=row["model_id"],
        rows=sum(one["size"] for one in sizes) if row["is_spread"] else row["rows_total"],
        rows_ok=ok,
        anomalies=anomalies if has_threshold else None,
        mean_log_density=_mean_log_density(scored, ok),
        sizes={one["segment_id"]: one["size"] for one in scored if one["size"]},
    )


def _mean_log_density(scored: Iterable[Row], ok: int) -> float | None:
    known = [one for one in scored if one["size"] and one["mean_log_density"] is not None]
    total = sum(one["size"] * one["mean_log_density"] for one in known)
    return round(total / ok, DENSITY_DIGITS) if known and ok else None


def _judged(runs: Sequence[Row]) -> tuple[Night, ...]:
    """Return one run per date: the latest that judged it, or the latest where none did."""
    latest: dict[date, Row] = {}
    for row in runs:
        known = latest.get(row["dt"])
        if known is None or row["verdict"] is not None or known["verdict"] is None:
            latest[row["dt"]] = row
    return tuple(_night(latest[dt]) for dt in sorted(latest))


def _trainings(runs: Sequence[Row]) -> tuple[Night, ...]:
    """Return the nights that trained or called for it; a night that was run again counts as it was the last time."""
    latest = {row["dt"]: _night(row) for row in runs if row["kind"] == "night"}
    nights = (latest[dt] for dt in sorted(latest))
    return tuple(night for night in nights if night.calls or night.challenger_id is not None)


def _night(row: Row) -> Night:
    return Night(**{name: value for name, value in row.items() if name != "publication_id"})


def _gains(drift: Iterable[Row], scope: str) -> tuple[Gain, ...]:
    names = ("dt", "value", "reference", "threshold", "is_alarm")
    return tuple(Gain(**{name: row[name] for name in names}) for row in drift if _is_gain(row, scope))


def _is_gain(row: Row, scope: str) -> bool:
    parts = ("segment_id", "part", "feature", "category")
    return row["statistic"] == "gain" and row["scope"] == scope and all(row[name] is None for name in parts)


def _lives(rows: Iterable[Row]) -> list[Life]:
    """Return every segment: its last name, and the first origin that says more than that it was there."""
    names: dict[int, str | None] = {}
    origins: dict[int, tuple[str | None, tuple[int, ...]]] = {}
    for row in rows:
        names[row["segment_id"]] = row["name"] or names.get(row["segment_id"])
        origins.setdefault(row["segment_id"], (row["origin"], tuple(json.loads(row["predecessors"] or "[]"))))
    return [
        Life(segment_id=one, name=names[one], origin=origins[one][0], predecessors=origins[one][1])
        for one in sorted(names)
    ]


def _members(rows: Iterable[Row]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row["model_id"], set()).add(row["segment_id"])
    return {model_id: frozenset(ids) for model_id, ids in found.items()}


def _expected(settings: str | None) -> float | None:
    anomalies: Mapping[str, Any] = json.loads(settings or "{}").get("anomalies", {})
    return anomalies.get("quantile") or None

"""The nights that were judged for drift, read back out of the warehouse for people. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from gmmdask.nightly.plan import warehouse_of
from gmmdask.nightly.segments import PATIENCE, at_once
from gmmdask.settings import Settings

Row = Mapping[str, Any]
SHOWN_ALARMS = 4
Outcome = Literal["", "nothing trained", "promoted", "champion kept"]

JUDGED = """SELECT p.dt, r.run_id, r.verdict, r.reason, r.model_id, r.challenger_id
    FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id AND r.dt = p.dt
    WHERE p.segmentation = $segmentation AND p.kind IN ('night', 'repeat') AND r.verdict IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY p.dt ORDER BY p.publication_id DESC) = 1
    ORDER BY p.dt DESC LIMIT $nights"""

MEASURED = """SELECT run_id, dt, scope, statistic, part, feature, category, value, threshold, is_alarm, verdict, reason
    FROM drift WHERE run_id = ANY($run_ids) AND (is_alarm OR verdict IS NOT NULL)
    ORDER BY run_id, feature NULLS FIRST, scope, category, statistic, part"""
WHOLE = {"night": "the night", "recent": "the last nights"}
"""What is told of measurements of no single feature, by the rows that were measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedNight:
    """What was found of a night.

    Parameters
    ----------
    dt : datetime.date
    verdict : str
        keep, warm-start or refit.
    outcome : {"", "nothing trained", "promoted", "champion kept"}
        What became of a verdict that called for training.
    reason : str
    gain, ordinary : float, optional
        What one step of retraining would surely gain on the window, and up to where that is ordinary, in nats per row;
        None where the window could not be judged.
    alarms : tuple of mappings
        Rows of `drift` that are alarms, the whole model's first; those of the night, and of the last few together.
    """

    dt: date
    verdict: str
    outcome: Outcome
    reason: str
    gain: float | None
    ordinary: float | None
    alarms: tuple[Row, ...]

    @property
    def told_alarms(self) -> str:
        """What alarmed, in a few words: the nights as a whole, or features with their statistics; the first few."""
        found: dict[str, list[str]] = {}
        for row in self.alarms:
            where = WHOLE[row["scope"]] if row["feature"] is None else str(row["feature"])
            what = row["category"] or row["part"] or row["statistic"].replace("_", " ")
            found.setdefault(where, []).append(what)
        told = [f"{where} ({', '.join(dict.fromkeys(what))})" for where, what in found.items()]
        more = len(told) - SHOWN_ALARMS
        return ", ".join([*told[:SHOWN_ALARMS], *([f"{more} more"] if more > 0 else [])])


def read_judged(settings: Settings, nights: int) -> list[JudgedNight]:
    """Return the last nights that were judged, the latest first, each as it was last published.

    Parameters
    ----------
    settings : Settings
    nights : int
        How many at most.

    Raises
    ------
    WarehouseError
        There is no warehouse yet, or it cannot be read.
    """
    with at_once():
        warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
        with warehouse.reading() as connection:
            values = {"segmentation": settings.segmentation.name, "nights": nights}
            runs = connection.query(JUDGED, values).to_pylist()
            measured = connection.query(MEASURED, {"run_ids": [run["run_id"] for run in runs]}).to_pylist()
    return [_judged(run, [row for row in measured if row["run_id"] == run["run_id"]]) for run in runs]


def _judged(run: Row, measured: list[Row]) -> JudgedNight:
    decided = next((row for row in measured if row["verdict"] is not None), None)
    return JudgedNight(
        dt=run["dt"],
        verdict=run["verdict"],
        outcome=_outcome(run),
        reason=run["reason"] or "",
        gain=decided["value"] if decided else None,
        ordinary=decided["threshold"] if decided else None,
        alarms=tuple(row for row in measured if row["scope"] != "window" and row["is_alarm"]),
    )


def _outcome(run: Row) -> Outcome:
    if run["verdict"] == "keep":
        return ""
    if run["challenger_id"] is None:
        return "nothing trained"
    return "promoted" if run["challenger_id"] == run["model_id"] else "champion kept"

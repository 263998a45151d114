"""The rows that lie farthest outside, told by what sets them apart from the segment that they lie nearest to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gmmdask.report.findings import Findings, Profiles, Row
from gmmdask.report.wording import MINUS, measure, shortened

FAR = 3.0
"""Standard deviations from the mean of its segment from which on a value is told."""

SHOWN_VALUES = 3
LONGEST_TEXT = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class StrangeRow:
    """A row of the table of the strangest: who it is, where it belongs, which values are far out, and the described ones."""

    id: str
    dt: date
    segment_id: int
    log_density: float
    far: str
    described: str


def strange_rows(findings: Findings) -> list[StrangeRow]:
    """Return the rows of lowest log density, the lowest first."""
    return [_strange_row(row, findings.profiles) for row in findings.strangest]


def _strange_row(row: Row, profiles: Profiles) -> StrangeRow:
    values = json.loads(row["row_values"])
    described = [values.get(name) for name in profiles.described[:SHOWN_VALUES]]
    return StrangeRow(
        id=row["id"],
        dt=row["dt"],
        segment_id=row["segment_id"],
        log_density=row["log_density"],
        far=_far(values, row["segment_id"], profiles),
        described=", ".join(shortened(str(value), LONGEST_TEXT) for value in described if value is not None),
    )


def _far(values: Mapping[str, float | str | None], segment_id: int, profiles: Profiles) -> str:
    """Return the values farthest from the segment's means, each with its distance in standard deviations."""
    distances: dict[str, float] = {}
    for feature in profiles.features:
        mean, spread = (profiles.value(segment_id, feature, statistic) for statistic in ("mean", "sd"))
        value = values.get(feature)
        if mean is not None and spread and isinstance(value, int | float):
            distances[feature] = (value - mean) / spread
    ranked = sorted(distances, key=lambda feature: -abs(distances[feature]))
    told = [
        f"{shortened(feature, LONGEST_TEXT)} {measure(float(values[feature] or 0.0))} ({_signed(distances[feature])})"
        for feature in ranked[:SHOWN_VALUES]
        if abs(distances[feature]) >= FAR
    ]
    return ", ".join(told) or "no value alone, but together"


def _signed(distance: float) -> str:
    return f"{distance:+,.0f}".replace("-", MINUS)

"""How many rows a night of this weekday has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any, Self

import numpy as np

FEWEST_OF_A_WEEKDAY = 2
"""Nights of a weekday from which on they are compared with each other alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCounts:
    """Rows of the training nights.

    Parameters
    ----------
    by_date : mapping of date to int
    """

    by_date: Mapping[date, int]

    @classmethod
    def of(cls, by_date: Mapping[date, int]) -> Self:
        """Make the value with its dates in order."""
        return cls(by_date=dict(sorted(by_date.items())))

    def without(self, dt: date) -> RowCounts:
        """Return the counts of all other nights."""
        return RowCounts(by_date={other: rows for other, rows in self.by_date.items() if other != dt})

    def expected(self, dt: date) -> float:
        """Return the median rows of the same weekday; of all nights where it was seen less than twice; NaN without any."""
        same = [rows for other, rows in self.by_date.items() if other.weekday() == dt.weekday()]
        found = same if len(same) >= FEWEST_OF_A_WEEKDAY else list(self.by_date.values())
        return float(median(found)) if found else float("nan")

    def departure(self, dt: date, n_rows: int) -> float:
        """Return |log(rows / expected)|; half a row stands for none."""
        return float(abs(np.log(max(n_rows, 0.5) / max(self.expected(dt), 0.5))))

    def to_facts(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {dt.isoformat(): rows for dt, rows in self.by_date.items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Make the value from what JSON held."""
        return cls.of({date.fromisoformat(dt): int(rows) for dt, rows in facts.items()})

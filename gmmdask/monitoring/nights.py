"""The sums of single nights under one champion: added into windows, appended to, and kept beside its bundle.

All nights are summed by the same model about the same points, so a window of nights is one addition. What a window
means is told by the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InconsistentStatisticsError, InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference, Stack, compile_stack
from gmmdask.mixture.statistics import Coverage, StackLayout, SufficientStatistics
from gmmdask.mixture.structures import FloatArray, Moments

VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Champion:
    """The model that nights are summed with.

    Parameters
    ----------
    parameters : MixtureParameters
    reference : Reference
        Where prepared rows are centred; sums of one champion add only if this is the same every night.
    reg_covar : float, default 1e-6
        What its training added to every variance, in squared units of the prepared features.
    """

    parameters: MixtureParameters
    reference: Reference
    reg_covar: float = 1e-6

    @cached_property
    def stack(self) -> Stack:
        """What a pass over a night is made with: a stack of this model alone."""
        return compile_stack([self.parameters], self.reference)

    def moments(self, statistics: SufficientStatistics) -> Moments:
        """Return the sums of a pass with `stack` as counts, first and second moments."""
        return self.stack.moments(statistics, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class NightSums:
    """The sums of every night, oldest first.

    Parameters
    ----------
    layout : StackLayout
        Of the champion's stack.
    dates : tuple of str
        ISO dates, ascending.
    n_rows : tuple of int
        Rows summed each night.
    sums : ndarray of shape (n_nights, layout.size)
    in_usual_units : frozenset of str
        Dates whose features are known to have come in the units that they always had, whatever their sums look like.

    Raises
    ------
    InvalidInputError
        Dates are not ascending, or the shapes do not fit.
    """

    layout: StackLayout
    dates: tuple[str, ...]
    n_rows: tuple[int, ...]
    sums: FloatArray
    in_usual_units: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        shape = (len(self.dates), self.layout.size)
        if list(self.dates) != sorted(set(self.dates)) or self.sums.shape != shape or len(self.n_rows) != shape[0]:
            raise InvalidInputError(
                f"sums of nights need ascending dates and the shape {shape}; got {len(self.dates)} dates from "
                f"{min(self.dates, default='none')} to {max(self.dates, default='none')}, {len(self.n_rows)} row counts "
                f"and sums of shape {self.sums.shape}"
            )
        self.sums.setflags(write=False)

    @classmethod
    def of(cls, layout: StackLayout, nights: Mapping[str, SufficientStatistics]) -> NightSums:
        """Return the nights of a pass that kept dates apart, in whatever order they come.

        Raises
        ------
        InconsistentStatisticsError
            A night was summed by another model or about other points.
        """
        dates = sorted(nights)
        for date in dates:
            _require_layout(layout, nights[date].layout, date)
        return cls(
            layout=layout,
            dates=tuple(dates),
            n_rows=tuple(nights[date].n_rows for date in dates),
            sums=np.array([nights[date].sums for date in dates]).reshape(len(dates), layout.size),
        )

    def __len__(self) -> int:
        return len(self.dates)

    def with_night(self, date: str, statistics: SufficientStatistics) -> NightSums:
        """Return the nights with one more, or with that date's sums replaced.

        Raises
        ------
        InconsistentStatisticsError
            It was summed by another model or about other points.
        """
        return NightSums.of(self.layout, {**{one: self.night(one) for one in self.dates}, date: statistics})

    def night(self, date: str) -> SufficientStatistics:
        """Return the sums of one night.

        Raises
        ------
        InvalidInputError
            It is not among them.
        """
        return self.only([date]).total()

    def only(self, dates: Iterable[str]) -> NightSums:
        """Return the nights of these dates.

        Raises
        ------
        InvalidInputError
            One is not among them.
        """
        wanted = sorted(set(dates))
        if unknown := [date for date in wanted if date not in self._positions]:
            raise InvalidInputError(
                f"no sums are kept of {', '.join(unknown[:5])}; there are {len(self)} nights from "
                f"{min(self.dates, default='none')} to {max(self.dates, default='none')}"
            )
        return self._at([self._positions[date] for date in wanted])

    def between(self, first: str, last: str) -> NightSums:
        """Return the nights from first to last, both included."""
        return self._at([position for position, date in enumerate(self.dates) if first <= date <= last])

    def total(self) -> SufficientStatistics:
        """Return the sums over all nights, added from the oldest on, so that equal nights give equal bytes."""
        return self.of_sums(self.sums.sum(axis=0), sum(self.n_rows))

    def of_sums(self, sums: FloatArray, n_rows: int = 0) -> SufficientStatistics:
        """Return a vector of sums as statistics; which leaves they cover is no longer known."""
        return SufficientStatistics(layout=self.layout, n_rows=n_rows, coverage=Coverage(), sums=sums)

    @property
    def masses(self) -> FloatArray:
        """Σ weight of every night."""
        return self.sums[:, self.layout.parts["mass"][0]]

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes equal nights."""
        facts = {"version": VERSION, "dates": list(self.dates), "reference": self.layout.reference}
        return {"sums": self.sums, "n_rows": np.array(self.n_rows, dtype=np.int64)}, facts

    @classmethod
    def from_parts(cls, layout: StackLayout, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> NightSums:
        """Make nights of a champion's layout from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version or another champion.
        """
        if facts.get("version") != VERSION or facts.get("reference") != layout.reference:
            raise InvalidInputError(
                f"the stored sums of nights are of version {facts.get('version')} about {facts.get('reference')}, and the "
                f"champion needs version {VERSION} about {layout.reference}; sum its training range anew"
            )
        n_rows = tuple(int(n) for n in arrays["n_rows"])
        sums = np.array(arrays["sums"], dtype=np.float64)
        return cls(layout=layout, dates=tuple(facts["dates"]), n_rows=n_rows, sums=sums)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {date: position for position, date in enumerate(self.dates)}

    def _at(self, positions: Sequence[int]) -> NightSums:
        return NightSums(
            layout=self.layout,
            dates=tuple(self.dates[p] for p in positions),
            n_rows=tuple(self.n_rows[p] for p in positions),
            sums=self.sums[list(positions)],
        )


def _require_layout(expected: StackLayout, found: StackLayout, date: str) -> None:
    if found != expected:
        raise InconsistentStatisticsError(
            f"the night {date} was summed by another model or about other points (references {found.reference} and "
            f"{expected.reference}); sum it again with the champion"
        )

"""What G is on ordinary nights: its empirical distribution over a champion's own training range.

Every window of training nights is compared with a champion that has not seen it: to first order that champion is the
M-step on the sums of all other training nights, so that leaving a window out is a subtraction. The windows are those of
consecutive nights, which know the seasons, and those put together from scattered weeks, which know by how much weeks
differ at random: a quarter of a year has only three consecutive windows that do not overlap, but hundreds of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import comb, sqrt
from typing import Any

import numpy as np

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.mixture.structures import FloatArray
from gmmdask.monitoring.gain import PARTS, Part, measure_gain, retrained, total_gain
from gmmdask.monitoring.nights import Champion, NightSums

VERSION = 2
FIRST_VERSION = 1
"""Kept the parts of single nights, and knew no runs."""

WEEK = 7
RUN = 3
"""Nights whose parts are judged together: what varies from night to night at random falls to a third, a change stays."""

SMALLEST_REST = 1e-9
"""Share of the training range's mass that must remain where nights are left out; less is lost when they are subtracted."""

LARGEST_SCATTER = 400
"""Windows of scattered weeks that are measured at most, evenly spaced among all."""


@dataclass(frozen=True, kw_only=True, eq=True)
class NullDistribution:
    """G of a champion's training nights, in nats per row, each left out of what it is compared with.

    Parameters
    ----------
    window : int
        Nights that a window has when it is judged.
    n_nights : int
        Nights with rows that were measured: those of training, and of the models that it continues.
    windows : tuple of float
        Of consecutive nights, oldest first; none where there are fewer than two nights.
    scattered : tuple of float
        Of weeks from here and there.
    nights : tuple of float
        Of single nights, oldest first.
    runs : tuple of tuples of float
        Of every three consecutive nights, oldest first: the weight, the mean and the covariance part. None where there are
        fewer than four nights.
    window_mass, night_mass : float
        Median Σ weight of a window of that length, and of a night.
    mass : float
        Σ weight of the training range.
    n_parameters : int
        Free parameters P of the champion.
    night_parts : tuple of tuples of float, optional
        Of single nights, as version 1 kept them; None in later versions. Only written back, so that a model keeps its id.
    """

    window: int
    n_nights: int
    windows: tuple[float, ...]
    scattered: tuple[float, ...]
    nights: tuple[float, ...]
    runs: tuple[tuple[float, float, float], ...]
    window_mass: float
    night_mass: float
    mass: float
    n_parameters: int
    night_parts: tuple[tuple[float, float, float], ...] | None = None

    @property
    def median(self) -> float:
        """Middle of all windows."""
        return float(np.median([*self.windows, *self.scattered]))

    @property
    def largest(self) -> float:
        """Largest of all windows."""
        return max([*self.windows, *self.scattered])

    def night_quantile(self, q: float) -> float:
        """Return the quantile of single nights' G."""
        return float(np.quantile(self.nights, q))

    @property
    def largest_parts(self) -> dict[Part, float]:
        """Largest weight, mean and covariance part of three consecutive nights; empty where there are too few."""
        return dict(zip(PARTS, np.max(self.runs, axis=0).tolist(), strict=True)) if self.runs else {}

    def theory(self, mass: float) -> float:
        """Return what G would be on average if rows were independent: P·(1/N + 1/N_ref)/2 (Wilks 1938)."""
        return self.n_parameters * (1 / mass + 1 / self.mass) / 2

    def allowance(self, mass: float, usual: float) -> float:
        """Return by how much chance raises G where fewer rows than usual came: (P + 3·√2P)·(1/N − 1/usual)/2."""
        fewer = max(1 / mass - 1 / usual, 0.0)
        return (self.n_parameters + 3 * sqrt(2 * self.n_parameters)) * fewer / 2

    def joined(self, earlier: NullDistribution) -> NullDistribution:
        """Return what is ordinary to a model and to the one that it continues, whose nights came before.

        Few nights of a new state tell little of how nights differ; those of the state before tell more. Rows and nights
        that the model itself learned from stay its own. Distributions of windows of different lengths do not join.
        """
        if earlier.window != self.window:
            return self
        lists: dict[str, Any] = {name: (*getattr(earlier, name), *getattr(self, name)) for name in _ARRAYS}
        return replace(self, **lists, n_nights=earlier.n_nights + self.n_nights)

    def to_parts(self) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes an equal value."""
        arrays = {name: np.array(getattr(self, name), dtype=np.float64) for name in _ARRAYS}
        if self.night_parts is not None:
            arrays = {**arrays, "nights": np.array(self.night_parts, dtype=np.float64)}
            del arrays["runs"]
        version = VERSION if self.night_parts is None else FIRST_VERSION
        return arrays, {"version": version, **{name: getattr(self, name) for name in _FACTS}}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, FloatArray], facts: Mapping[str, Any]) -> NullDistribution:
        """Make the value from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version.
        """
        version = facts.get("version")
        if version not in (FIRST_VERSION, VERSION):
            raise InvalidInputError(
                f"the model cannot be judged by: its null distribution is of version {version}, and this gmmdask reads up to "
                f"{VERSION}; train a new champion with gmmdask nightly SETTINGS --refit"
            )
        known = {name: facts[name] for name in _FACTS}
        windows, scattered = (tuple(arrays[name].tolist()) for name in ("windows", "scattered"))
        if version == FIRST_VERSION:
            parts = _parts_of(arrays["nights"])
            nights = tuple(sum(of_night) for of_night in parts)
            return cls(windows=windows, scattered=scattered, nights=nights, runs=(), night_parts=parts, **known)
        nights, runs = tuple(arrays["nights"].tolist()), _parts_of(arrays["runs"])
        return cls(windows=windows, scattered=scattered, nights=nights, runs=runs, **known)


def _parts_of(array: FloatArray) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(w), float(m), float(c)) for w, m, c in array.reshape(-1, len(PARTS)))


_ARRAYS = ("windows", "scattered", "nights", "runs")
_FACTS = ("window", "n_nights", "window_mass", "night_mass", "mass", "n_parameters")


def learn_null(nights: NightSums, champion: Champion, window: int = 28) -> NullDistribution:
    """Measure what G is on the nights that a champion was trained on.

    Parameters
    ----------
    nights : NightSums
        The training range, summed with the champion: its last evaluation.
    champion : Champion
    window : int, default 28
        Nights in a window. A range of fewer than two windows is measured in halves; then G, which falls like
        1/n + 1/(others) where nights are independent, is scaled to n = `window`.

    Returns
    -------
    NullDistribution
        Without windows where there are fewer than two nights; without those beside which the others weigh nothing.
    """
    full = nights.only(date for date, mass in zip(nights.dates, nights.masses, strict=True) if mass > 0)
    n = len(full)
    length = min(window, n // 2)
    leave_out = _LeaveOut(nights=full, champion=champion)
    rest = n - length
    scale = (1 / window + 1 / rest) / (1 / length + 1 / rest) if length else 1.0
    return NullDistribution(
        window=window,
        n_nights=n,
        windows=tuple(scale * leave_out.gain(chosen) for chosen in leave_out.sound(_consecutive(n, length))),
        scattered=tuple(scale * leave_out.gain(chosen) for chosen in leave_out.sound(_scattered(n, length))),
        nights=tuple(leave_out.gain(chosen) for chosen in leave_out.sound(_consecutive(n, 1))) if n > 1 else (),
        runs=tuple(leave_out.parts(chosen) for chosen in leave_out.sound(_consecutive(n, RUN))) if n > RUN else (),
        window_mass=float(np.median(full.masses)) * window if n else 0.0,
        night_mass=float(np.median(full.masses)) if n else 0.0,
        mass=float(full.masses.sum()),
        n_parameters=champion.parameters.n_parameters,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _LeaveOut:
    """Training nights, and the champion that each window of them is compared with."""

    nights: NightSums
    champion: Champion

    def sound(self, candidates: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
        """Yield those beside which the other nights weigh enough that subtraction does not lose them."""
        masses = self.nights.masses
        for chosen in candidates:
            if np.delete(masses, list(chosen)).sum() > SMALLEST_REST * masses.sum():
                yield chosen

    def gain(self, chosen: Sequence[int]) -> float:
        """Return G of these nights over the M-step on all others."""
        sums, others = self._split(chosen)
        return total_gain(sums, self.champion, others)

    def parts(self, chosen: Sequence[int]) -> tuple[float, float, float]:
        """Return the weight, mean and covariance part of these nights' G."""
        sums, others = self._split(chosen)
        gain = measure_gain(sums, self.champion, others)
        return float(gain.weight.sum()), float(gain.mean.sum()), float(gain.covariance.sum())

    @cached_property
    def _whole(self) -> FloatArray:
        return np.asarray(self.nights.sums.sum(axis=0))

    def _split(self, chosen: Sequence[int]) -> tuple[SufficientStatistics, MixtureParameters]:
        sums = self.nights.sums[list(chosen)].sum(axis=0)
        others, _ = retrained(self.nights.of_sums(self._whole - sums), self.champion)
        return self.nights.of_sums(sums), others


def _consecutive(n_nights: int, length: int) -> Iterator[range]:
    if length:
        yield from (range(first, first + length) for first in range(n_nights - length + 1))


def _scattered(n_nights: int, length: int) -> Iterator[list[int]]:
    """Yield windows put together from whole weeks, counted from the last night backwards."""
    n_weeks, chosen = n_nights // WEEK, length // WEEK
    total = comb(n_weeks, chosen) if chosen else 0
    count = min(total, LARGEST_SCATTER)
    for number in range(count):
        weeks = _combination(number * total // count, n_weeks, chosen)
        yield [n_nights - 1 - WEEK * week - day for week in weeks for day in range(WEEK)]


def _combination(rank: int, n: int, size: int) -> list[int]:
    """Return the combination of this rank in lexicographic order (Lehmer 1964).

    Examples
    --------
    >>> [_combination(rank, 4, 2) for rank in range(6)]
    [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    """
    chosen: list[int] = []
    for value in range(n):
        rest = size - len(chosen) - 1
        if rest < 0:
            break
        with_value = comb(n - value - 1, rest)
        if rank < with_value:
            chosen.append(value)
        else:
            rank -= with_value
    return chosen

"""Synthetic nights with known truth: what varies from night to night, and what changes for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from gmmdask.mixture.structures import FULL
from gmmdask.monitoring import Champion, NightSums, retrained

Floats = NDArray[np.float64]
KINDS = ("still", "weights", "weights, levels")
N_COMPONENTS = 5
FIRST = date(2026, 1, 1)
TRAINING_NIGHTS = 91
TRAINING_PASSES = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A mixture whose nights differ by chance alone ("still"), or also as those of real lakes do.

    Where weights vary, their logarithms move by 0.1 between weekdays and by 0.15 from night to night; where levels vary
    too, both follow first-order autoregressions (ρ = 0.7) with steps of 0.1 for the logarithms of the weights and of
    0.02 standard deviations for every feature. None of it is lasting.
    """

    kind: str
    rows: int
    truth: MixtureParameters
    random: np.random.Generator
    weekdays: Floats
    state: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int, kind: str, rows: int) -> World:
        """Make a world of four to six features and five components that overlap."""
        random, d, k = np.random.default_rng(seed), 4 + seed % 3, N_COMPONENTS
        factors = random.normal(size=(k, d, 2 * d)) / np.sqrt(2 * d)
        truth = MixtureParameters(
            structure=FULL,
            weights=random.dirichlet(np.full(k, 5.0)),
            means=random.normal(size=(k, d)) * np.sqrt(2.0),
            covariances=factors @ factors.transpose(0, 2, 1),
        )
        weekdays = 0.1 * random.normal(size=(7, k))
        state = {"night": np.zeros(1), "weights": np.zeros(k), "levels": np.zeros(d)}
        return cls(kind=kind, rows=rows, truth=truth, random=random, weekdays=weekdays, state=state)

    @property
    def spread(self) -> Reference:
        """Means and standard deviations of the features."""
        return Reference.of(self.truth)

    def night(self, vanished: int | None = None) -> Floats:
        """Draw the next night's rows, shape (d, rows), without the rows of a component that vanished."""
        weights, levels = self._today()
        if vanished is not None:
            weights = np.where(np.arange(len(weights)) == vanished, 0.0, weights)
        counts = self.random.multinomial(self.rows, weights / weights.sum())
        factors = np.linalg.cholesky(self.truth.covariances)
        drawn = [
            factors[k] @ self.random.normal(size=(len(levels), n)) + (self.truth.means[k] + levels)[:, None]
            for k, n in enumerate(counts)
        ]
        return np.concatenate(drawn, axis=1)

    def _today(self) -> tuple[Floats, Floats]:
        weights, levels, state = self.truth.weights, np.zeros(self.truth.n_features), self.state
        if self.kind != KINDS[0]:
            logarithms = self.weekdays[int(state["night"][0]) % 7] + 0.15 * self.random.normal(size=len(weights))
            if self.kind == KINDS[2]:
                state["weights"] = 0.7 * state["weights"] + 0.1 * self.random.normal(size=len(weights))
                state["levels"] = 0.7 * state["levels"] + 0.02 * self.random.normal(size=len(levels))
                logarithms, levels = logarithms + state["weights"], state["levels"] * self.spread.scale
            weights = weights * np.exp(logarithms)
        state["night"] = state["night"] + 1
        return weights / weights.sum(), levels


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """A world's first nights, a champion that learned from them by EM from the truth, and their sums under it."""

    rows: Sequence[Floats]
    champion: Champion
    sums: NightSums

    @classmethod
    def of(cls, world: World) -> Training:
        """Draw the nights and learn."""
        rows = [world.night() for _ in range(TRAINING_NIGHTS)]
        champion = Champion(parameters=world.truth, reference=world.spread)
        for _ in range(TRAINING_PASSES):
            parameters, _ = retrained(summed_nights(champion, rows).total(), champion)
            champion = Champion(parameters=parameters, reference=world.spread)
        return cls(rows=rows, champion=champion, sums=summed_nights(champion, rows))


def dated(number: int) -> date:
    """Return the date of a night: the first training night is number 0."""
    return FIRST + timedelta(number)


def summed(champion: Champion, rows: Floats) -> SufficientStatistics:
    """Return the sums of a night's complete rows."""
    complete = np.isfinite(rows).all(axis=0)
    kept = rows if complete.all() else rows[:, complete]
    return summarize(np.ascontiguousarray(kept), None, champion.stack, Coverage())


def summed_nights(champion: Champion, nights: Iterable[Floats], first: int = 0) -> NightSums:
    """Return the sums of nights that follow each other; nights that are drawn one by one are not kept."""
    sums = {dated(first + number).isoformat(): summed(champion, rows) for number, rows in enumerate(nights)}
    return NightSums.of(champion.stack.layout, sums)


Change = Callable[[World], Floats]


def _shifted(world: World) -> Floats:
    rows = world.night()
    rows[0] += 0.05 * world.spread.scale[0]
    return rows


def _rescaled(world: World) -> Floats:
    rows, centre = world.night(), world.spread.centre[1]
    rows[1] = centre + 1.03 * (rows[1] - centre)
    return rows


def _with_cluster(world: World) -> Floats:
    rows, spread = world.night(), world.spread
    own = rows[:, ::100]
    noise = world.random.normal(size=own.shape)
    own[:] = (spread.centre + 4 * spread.scale)[:, None] + 0.3 * spread.scale[:, None] * noise
    return rows


def _in_feet(world: World, zero: float) -> Floats:
    rows = world.night()
    raw = rows[2] + zero * world.spread.scale[2]
    rows[2] = 0.3048 * raw - zero * world.spread.scale[2]
    return rows


def _gone(world: World) -> Floats:
    rows = world.night()
    rows[2] = np.nan
    return rows


CHANGES: dict[str, Change] = {
    "shift of 0.05 sd": _shifted,
    "scale of 1.03": _rescaled,
    "new cluster of 1 %": _with_cluster,
    "cluster vanished": lambda world: world.night(vanished=int(np.argmin(world.truth.weights))),
    "×0.3048, zero far": lambda world: _in_feet(world, 10.0),
    "×0.3048, zero near": lambda world: _in_feet(world, 0.0),
    "column gone null": _gone,
}
"""Draw a world's next night, changed; of equal worlds the same night, but for what changes and the rows of a cluster."""

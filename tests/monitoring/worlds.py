"""Champions, nights with known truth, and oracles that share no code with what they check."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from gmmdask.mixture.structures import STRUCTURES, structure_named
from gmmdask.monitoring import Champion, NightSums, retrained
from tests.mixture.worlds import random_mixture, responsibilities


@dataclass(frozen=True)
class Watched:
    """A champion, and the rows of one night that it has not seen, shape (d, n)."""

    champion: Champion
    rows: np.ndarray

    @property
    def statistics(self) -> SufficientStatistics:
        return summed(self.champion, self.rows)


def summed(champion: Champion, rows: np.ndarray, night: int = 0) -> SufficientStatistics:
    return summarize(np.ascontiguousarray(rows), None, champion.stack, Coverage.of_leaf(night, 0))


def drawn(parameters: MixtureParameters, n_rows: int, random: np.random.Generator) -> np.ndarray:
    labels = random.choice(parameters.n_components, size=n_rows, p=parameters.weights)
    noise = random.normal(size=(n_rows, parameters.n_features))
    factors = np.linalg.cholesky(parameters.matrices)[labels]
    return (parameters.means[labels] + np.einsum("nij,nj->ni", factors, noise)).T


def mean_log_density(rows: np.ndarray, parameters: MixtureParameters) -> float:
    """Out of the rows themselves."""
    return float(responsibilities(rows, parameters)[1].mean())


@st.composite
def watched(draw: st.DrawFn, reg_covar: float = 0.0, names: tuple[str, ...] = ()) -> Watched:
    """A champion of any structure, and rows of another mixture near it; some components may stay without rows."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d, k = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    structure = structure_named(draw(st.sampled_from(names or tuple(s.name for s in STRUCTURES))))
    truth = random_mixture(random, structure, k, d)
    start = random_mixture(random, structure, k, d) if draw(st.booleans()) else truth
    centre = random.normal(size=d)
    champion = Champion(
        parameters=start, reference=Reference(centre=centre, scale=np.full(d, 2.0)), reg_covar=reg_covar
    )
    n_rows = draw(st.sampled_from([5, 60, 200]))
    return Watched(champion=champion, rows=drawn(truth, n_rows, random))


def fitted(rows: np.ndarray, start: MixtureParameters, reference: Reference, *, steps: int = 30) -> Champion:
    """EM until next to nothing is left to gain."""
    champion = Champion(parameters=start, reference=reference)
    for _ in range(steps):
        parameters, _ = retrained(summed(champion, rows), champion)
        champion = Champion(parameters=parameters, reference=reference)
    return champion


def nights_of(champion: Champion, nights: list[np.ndarray], first: int = 1) -> NightSums:
    """Nights named 2020-01-01 and so on, in a calendar of twelve months of 30 days."""
    return NightSums.of(
        champion.stack.layout,
        {date_of(first + number): summed(champion, rows) for number, rows in enumerate(nights)},
    )


def date_of(number: int) -> str:
    return f"2020-{(number - 1) // 30 + 1:02d}-{(number - 1) % 30 + 1:02d}"


def quiet_world(*, d: int = 3, k: int = 3, n_nights: int = 56, rows: int = 300, seed: int = 0) -> QuietWorld:
    """A champion fitted to nights of one and the same mixture."""
    random = np.random.default_rng(seed)
    truth = random_mixture(random, structure_named("full"), k, d)
    nights = [drawn(truth, rows, random) for _ in range(n_nights)]
    champion = fitted(np.hstack(nights), truth, Reference.of(truth), steps=20)
    return QuietWorld(truth=truth, champion=champion, training=nights, random=random)


@dataclass(frozen=True)
class QuietWorld:
    """A mixture that never changes, and the champion of its first nights."""

    truth: MixtureParameters
    champion: Champion
    training: list[np.ndarray]
    random: np.random.Generator

    def night(self, rows: int = 300) -> np.ndarray:
        return drawn(self.truth, rows, self.random)

    def nights(self, count: int) -> list[np.ndarray]:
        return [self.night() for _ in range(count)]

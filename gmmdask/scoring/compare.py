"""Two models on the same rows: the paired difference of their log densities, in original units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmmdask.engine.port import Engine
from gmmdask.scoring.assign import SegmentModel, score_leaf
from gmmdask.source import Leaf, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedScores:
    """Sums over the rows that both models can score.

    Parameters
    ----------
    n_rows : int
    champion, challenger : float
        Sums of log densities, nats in original units.
    squared_difference : float
        Σ (challenger − champion)².
    """

    n_rows: int
    champion: float
    challenger: float
    squared_difference: float

    def combine(self, other: PairedScores) -> PairedScores:
        """Return the sums over the rows of both."""
        return PairedScores(
            n_rows=self.n_rows + other.n_rows,
            champion=self.champion + other.champion,
            challenger=self.challenger + other.challenger,
            squared_difference=self.squared_difference + other.squared_difference,
        )

    @property
    def difference(self) -> float:
        """Mean of challenger − champion, nats per row; NaN without rows, or where a single row would decide it.

        That is where the square of its difference overflows.
        """
        if not self.n_rows or not np.isfinite(self.squared_difference):
            return float("nan")
        return (self.challenger - self.champion) / self.n_rows

    @property
    def standard_error(self) -> float:
        """Standard error of that mean; NaN below two rows, or where there is no such mean."""
        if self.n_rows < 2 or not np.isfinite(self.squared_difference):
            return float("nan")
        variance = max(self.squared_difference / self.n_rows - self.difference**2, 0.0)
        return float(np.sqrt(variance / (self.n_rows - 1)))


def compare_models(
    source: Source, engine: Engine, champion: SegmentModel, challenger: SegmentModel, *, name: str = "gate"
) -> PairedScores:
    """Read a source once and score its rows by both models.

    Parameters
    ----------
    source : Source
        Raw columns in the order of both recipes.
    engine : Engine
    champion, challenger : SegmentModel
    name : str
        Of the pass, in keys, logs and errors.
    """
    return engine.map_reduce(source, compare_leaf, (champion, challenger), name=name)


def compare_leaf(leaf: Leaf, champion: SegmentModel, challenger: SegmentModel) -> PairedScores:
    """Compare two models on the rows of one leaf."""
    first, second = (score_leaf(leaf.values, model) for model in (champion, challenger))
    both = first.scored & second.scored
    old, new = first.log_density[both[first.scored]], second.log_density[both[second.scored]]
    with np.errstate(over="ignore"):  # told by `PairedScores.difference`
        squared = float(((new - old) ** 2).sum())
    return PairedScores(
        n_rows=int(both.sum()),
        champion=float(old.sum()),
        challenger=float(new.sum()),
        squared_difference=squared,
    )

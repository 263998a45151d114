"""What the rows of a date say of a champion: its sums over training rows, and the counts of all rows' features.

One read of the rows gives both. What they mean is told by the other modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.lake.held_out import held_out
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import NightFeatures, count_rows
from gmmdask.monitoring.nights import Champion
from gmmdask.preparation import Recipe
from gmmdask.source import Leaf

STATISTICS, FEATURES = "statistics_", "features_"
Floats = NDArray[np.float64]

LARGEST = 1e150
"""Of a prepared value; beyond it squares overflow."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Observation:
    """Some rows of a date.

    Parameters
    ----------
    statistics : SufficientStatistics
        Of the champion's stack; held-out rows weigh nothing.
    features : NightFeatures
        Of all rows, whether or not they can be scored.
    """

    statistics: SufficientStatistics
    features: NightFeatures

    def combine(self, other: Observation) -> Observation:
        """Return the observation of the rows of both."""
        return Observation(
            statistics=self.statistics.combine(other.statistics), features=self.features.combine(other.features)
        )

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes an equal observation of a whole date."""
        arrays, facts = self.features.to_parts()
        named = {f"{FEATURES}{name}": array for name, array in arrays.items()}
        return {f"{STATISTICS}sums": self.statistics.sums, **named}, {
            "n_rows": self.statistics.n_rows,
            "reference": self.statistics.layout.reference,
            "features": facts,
        }

    @classmethod
    def from_parts(
        cls, champion: Champion, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]
    ) -> Observation:
        """Make the observation of a whole date from stored parts; it is one leaf from then on.

        Raises
        ------
        InvalidInputError
            They are of another champion.
        """
        layout = champion.stack.layout
        if facts["reference"] != layout.reference:
            raise InvalidInputError(
                f"the stored sums are about {facts['reference']}, and the champion needs {layout.reference}"
            )
        own = {name.removeprefix(FEATURES): array for name, array in arrays.items() if name.startswith(FEATURES)}
        return cls(
            statistics=SufficientStatistics(
                layout=layout,
                n_rows=int(facts["n_rows"]),
                coverage=Coverage.of_leaf(0, 0),
                sums=np.array(arrays[f"{STATISTICS}sums"], dtype=np.float64),
            ),
            features=NightFeatures.from_parts(own, facts["features"]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Observer:
    """Observes leaves of a lake's raw rows; small and picklable.

    Parameters
    ----------
    recipe : Recipe
    champion : Champion
    bins : FeatureBins
        Of the recipe's numeric features, and of category columns that the leaves carry.
    id_column : str
        Carried; says which rows are held out.
    seed : int
    weight_column : str, optional
        Carried. A weight that is missing, negative or infinite counts as zero: it must not keep a night from being
        judged.
    """

    recipe: Recipe
    champion: Champion
    bins: FeatureBins
    id_column: str
    seed: int
    weight_column: str | None = None

    def __call__(self, leaf: Leaf) -> Observation:
        """Observe one leaf."""
        prepared, kept = self.recipe.apply(leaf.values)
        prepared, weights = _without_overflow(prepared, self._weights(leaf)[kept])
        place = Coverage.of_leaf(leaf.partition, leaf.index)
        return Observation(
            statistics=summarize(prepared, weights, self.champion.stack, place),
            features=count_rows(leaf.values[self._numbers], self.bins, leaf.carried),
        )

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that leaves must carry."""
        weight = () if self.weight_column is None else (self.weight_column,)
        return (self.id_column, *weight, *self.bins.categories)

    def _weights(self, leaf: Leaf) -> NDArray[np.float64]:
        weights = np.where(held_out(leaf.carried[self.id_column], self.seed), 0.0, 1.0)
        if self.weight_column is None:
            return weights
        given: Any = leaf.carried[self.weight_column].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(weights * np.where(np.isfinite(given) & (given > 0), given, 0.0))

    @cached_property
    def _numbers(self) -> slice | list[int]:
        positions = [self.recipe.features.index(name) for name in self.bins.features]
        return slice(None) if positions == list(range(len(self.recipe.features))) else positions


def _without_overflow(prepared: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the rows whose squares can be summed: the others have no segment either."""
    if np.abs(prepared).max(initial=0.0) < LARGEST:
        return prepared, weights
    sound = (np.abs(prepared) < LARGEST).all(axis=0)
    return np.ascontiguousarray(prepared[:, sound]), weights[sound]


def observe_leaf(leaf: Leaf, observer: Observer) -> Observation:
    """Observe one leaf: a summary that every engine can make, by date too."""
    return observer(leaf)

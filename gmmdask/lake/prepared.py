"""A source seen through a recipe: the same partitions and leaves, prepared values, fewer rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.errors import SchemaError
from gmmdask.lake.fingerprint import digest
from gmmdask.lake.finite import require_finite
from gmmdask.preparation import Recipe
from gmmdask.source import Leaf, Partition, Source


@dataclass(frozen=True, kw_only=True)
class PreparedSource:
    """Apply a recipe to every leaf of a source.

    Partitions, leaves and `Leaf.start` are those of the source, before any row was dropped; so `Partition.rows` counts
    the rows read, not those kept.

    Parameters
    ----------
    source : Source
        Raw columns in the recipe's order.
    recipe : Recipe
        What is done to them.
    infinite : {"refuse", "drop"}, default "refuse"
        Whether an infinite value is an error or drops its row.

    Raises
    ------
    SchemaError
        The source's features are not the recipe's.
    """

    source: Source
    recipe: Recipe
    infinite: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self) -> None:
        if tuple(self.source.features) != self.recipe.features:
            raise SchemaError(
                f"the recipe is for features {list(self.recipe.features)} and the source has "
                f"{list(self.source.features)}; open it with the recipe's features"
            )

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the prepared features."""
        return self.recipe.prepared_features

    @property
    def partitions(self) -> Sequence[Partition]:
        """The source's partitions."""
        return self.source.partitions

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the source and the recipe."""
        return digest("prepared", self.source.fingerprint, self.recipe.fingerprint, self.infinite)

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield prepared leaves of a partition, in order.

        Raises
        ------
        InvalidInputError
            A value is infinite and `infinite` is "refuse"; and what the source raises.
        """
        for leaf in self.source.read(partition, first, stop):
            if self.infinite == "refuse":
                require_finite(leaf, self.source.features, self.source.partitions)
            yield self._prepare(leaf)

    def _prepare(self, leaf: Leaf) -> Leaf:
        values, kept = self.recipe.apply(leaf.values)
        if kept.all():
            return replace(leaf, values=values)
        weights = None if leaf.weights is None else leaf.weights[kept]
        return replace(leaf, values=values, weights=weights, carried=_filtered(leaf, kept))


def _filtered(leaf: Leaf, kept: NDArray[np.bool_]) -> dict[str, object]:
    mask = pa.array(kept)
    return {name: column.filter(mask) for name, column in leaf.carried.items()}

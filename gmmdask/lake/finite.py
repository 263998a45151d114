"""Checks of single values in what was read: infinities and weights, named by partition and row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.source import Leaf, Partition


def require_finite(leaf: Leaf, features: Sequence[str], partitions: Sequence[Partition]) -> None:
    """Refuse infinite values; a missing value (NaN) passes.

    Parameters
    ----------
    leaf : Leaf
        What was read.
    features : sequence of str
        Names of the rows of its values.
    partitions : sequence of Partition
        The source's partitions, to name the one at fault.

    Raises
    ------
    InvalidInputError
        Names the partition, the feature, and the first row that is infinite.
    """
    for feature, row in zip(features, leaf.values, strict=True):
        found = np.isinf(row)
        if found.any():
            at = int(np.argmax(found))
            raise InvalidInputError(
                f"feature {feature!r} is {row[at]} in row {leaf.start + at} of partition "
                f"{partitions[leaf.partition].name!r} ({int(found.sum())} such rows in this leaf); "
                "write infinite values as missing, or remove these rows"
            )


def require_weights(weights: NDArray[np.float64], place: str, start: int = 0) -> None:
    """Refuse weights that are negative, missing or infinite; zero means that the row is absent.

    Raises
    ------
    InvalidInputError
        Names the place and the first such row.
    """
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InvalidInputError(
            f"the weight in row {start + at} of {place} is {weights[at]}; weights are finite and at least 0"
        )

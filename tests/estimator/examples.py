"""Data that the estimator's tests share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

STRUCTURES = ("full", "tied", "diag", "spherical")
METHODS = ("kmeans", "k-means++", "random", "random_from_data")


def blobs(seed: int, *, groups: int = 3, features: int = 3, each: int = 60, spread: float = 4.0) -> Rows:
    """Return correlated groups of rows in mixed order, shape (groups·each, features)."""
    random = np.random.default_rng(seed)
    parts = [
        random.normal(size=(each, features)) @ random.normal(size=(features, features)) * 0.7
        + random.normal(size=features) * spread
        for _ in range(groups)
    ]
    return random.permutation(np.concatenate(parts))

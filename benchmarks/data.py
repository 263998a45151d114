"""Generated data for the benchmarks: the same rows for the same seed, nothing read from anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def overlapping_components(
    n_rows: int, n_features: int, *, n_components: int = 6, separation: float = 2.0, seed: int = 0
) -> NDArray[np.float64]:
    """Return rows of a mixture whose components overlap, shuffled.

    Means are normal with standard deviation `separation`/√2 in each of the first four features and 0.5 in the others;
    covariances are Wishart matrices of 2·d degrees of freedom, scaled to unit mean variance; weights are Dirichlet(5).

    Parameters
    ----------
    n_rows, n_features : int
    n_components : int, default 6
    separation : float, default 2.0
    seed : int, default 0

    Returns
    -------
    ndarray of shape (n_rows, n_features)
    """
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.full(n_components, 5.0))
    spread = np.where(np.arange(n_features) < 4, separation / np.sqrt(2.0), 0.5)
    means = random.normal(size=(n_components, n_features)) * spread
    factors = random.normal(size=(n_components, n_features, 2 * n_features)) / np.sqrt(2.0 * n_features)
    labels = random.choice(n_components, size=n_rows, p=weights)
    rows = np.empty((n_rows, n_features))
    for k in range(n_components):
        own = labels == k
        rows[own] = means[k] + random.normal(size=(int(own.sum()), 2 * n_features)) @ factors[k].T
    return rows

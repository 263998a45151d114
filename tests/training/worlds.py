"""Small data for the tests of training, and a session over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gmmdask.engine import LocalEngine
from gmmdask.lake import ArraySource
from gmmdask.training.grid import search_grid
from gmmdask.training.results import GridResult, GridSpec
from gmmdask.training.survey import Survey, survey_source

SMALL = GridSpec(n_components=(1, 2, 3, 4), covariance_types=("diag", "full"), seed=3)


def three_clusters(n: int = 3000, d: int = 2, seed: int = 0) -> np.ndarray:
    """Rows of three round clusters, sorted by cluster."""
    random = np.random.default_rng(seed)
    centres = np.array([[0.0] * d, [8.0] + [0.0] * (d - 1), [0.0] * (d - 1) + [8.0]])
    return np.concatenate([random.normal(size=(n // 3, d)) + centre for centre in centres])


@contextmanager
def surveyed(
    values: np.ndarray, weights: np.ndarray | None = None, seed: int = 3
) -> Iterator[tuple[ArraySource, Survey]]:
    source = ArraySource.of(values, weights)
    yield source, survey_source(source, LocalEngine(), seed=seed)


def searched(
    values: np.ndarray, spec: GridSpec = SMALL, weights: np.ndarray | None = None, threads: int = 1
) -> GridResult:
    """Return the grid of an array."""
    with surveyed(values, weights, spec.seed) as (source, survey), LocalEngine(threads=threads).hold(source) as data:
        return search_grid(data, survey, spec)

"""What the estimator needs of its surroundings: inputs as sources, the engine to use, rows in and labels out.

Belongs to `gmmdask.estimator` and is private to it; knows nothing of scikit-learn. Dask is imported only once a Dask
collection or a client was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine import Engine, LocalEngine
from gmmdask.engine.pools import one_thread, single_threaded_workers
from gmmdask.lake import ArraySource
from gmmdask.mixture.em import FitState
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import RowScores, score_rows
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, FloatArray
from gmmdask.source import LEAF_ROWS, Source
from gmmdask.training.evaluation import require_finite

BLOCK_ROWS = 65_536
"""Rows scored at a time: bounds the memory of predictions beside their result."""

Model = tuple[MixtureParameters, Reference]
Take = Callable[[RowScores], NDArray[Any]]


def is_dask_collection(X: Any) -> bool:
    """Return whether X is a Dask array or DataFrame, without importing Dask."""
    return type(X).__module__.split(".")[0] in ("dask", "dask_expr") and hasattr(X, "__dask_graph__")


def is_source(X: Any) -> bool:
    """Return whether X is a lake or another source."""
    return all(hasattr(type(X), name) for name in ("partitions", "read")) and hasattr(X, "features")


def empty_frame(columns: Iterable[Any]) -> Any:
    """Return a DataFrame without rows: what scikit-learn checks names and numbers of features on."""
    return import_module("pandas").DataFrame(columns=list(columns))


def dask_source(X: Any, sample_weight: Any) -> Source:
    """Return a Dask collection as a source."""
    features = None if not hasattr(X, "columns") else [str(name) for name in X.columns]
    opened = import_module("gmmdask.lake.dask_collections").source_of
    source: Source = opened(X, features=features, weights=sample_weight)
    return source


def lazy_rows(X: Any, model: Model, take: Take) -> Any:
    """Return what a model says of the rows of a Dask collection, as a lazy Dask collection."""
    columns = range(model[0].n_components) if take is probabilities else None
    dtype = np.int64 if take is labels else np.float64
    rows = import_module("gmmdask.lake.dask_lazy").map_rows
    return rows(X, partial(_of_block, model=model, take=take), columns=columns, dtype=dtype)


def _of_block(values: NDArray[Any], model: Model, take: Take) -> NDArray[Any]:
    with one_thread():
        return np.ascontiguousarray(take(score_rows(values, *model)))


def engine_for(source: Source, client: Any) -> Engine:
    """Return where to work: arrays in this process; else on the client, the current client, or in this process."""
    cores = len(os.sched_getaffinity(0))
    if isinstance(source, ArraySource):
        return LocalEngine(cores if len(source.values) > LEAF_ROWS else 1)
    chosen = current_client() if client is None else client
    if chosen is None:
        return LocalEngine(cores)
    engine: Engine = import_module("gmmdask.engine.dask").DaskEngine(chosen)
    return engine


def current_client() -> Any:
    """Return the Dask client of this process, or None; loads nothing."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def labels(scores: RowScores) -> NDArray[np.int64]:
    """Return the most probable component of every row."""
    return np.asarray(scores.responsibilities.argmax(axis=0), dtype=np.int64)


def probabilities(scores: RowScores) -> FloatArray:
    """Return the components' posterior probabilities, one row of them for every row."""
    return scores.responsibilities.T


def log_densities(scores: RowScores) -> FloatArray:
    """Return the logarithm of the density at every row."""
    return scores.log_densities


def scored_rows(source: Source, model: Model, take: Take) -> NDArray[Any]:
    """Return what a model says of every row of a source, by blocks."""
    if not isinstance(source, ArraySource):
        return np.concatenate(list(_of_leaves(source, model, take)))
    values = source.values

    def block(start: int) -> NDArray[Any]:
        return take(score_rows(np.ascontiguousarray(values[start : start + BLOCK_ROWS].T), *model))

    with one_thread():
        return np.ascontiguousarray(_joined(block, range(0, len(values), BLOCK_ROWS), len(values)))


def _of_leaves(source: Source, model: Model, take: Take) -> Iterator[NDArray[Any]]:
    for partition in range(len(source.partitions)):
        for leaf in source.read(partition):
            require_finite(leaf)
            yield _of_block(leaf.values, model, take)


def _joined(block: Callable[[int], NDArray[Any]], starts: range, n_rows: int) -> NDArray[Any]:
    first = block(starts[0])
    if len(starts) == 1:
        return first
    joined = np.empty((n_rows, *first.shape[1:]), dtype=first.dtype)
    joined[: len(first)] = first

    def fill(start: int) -> None:
        joined[start : start + BLOCK_ROWS] = block(start)

    with single_threaded_workers(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(fill, starts[1:]))
    return joined


def precisions_of(parameters: MixtureParameters) -> tuple[FloatArray, FloatArray]:
    """Return precision factors and precisions in the shapes that scikit-learn gives them."""
    structure, factors = parameters.structure, parameters.precision_factors
    if structure in (DIAGONAL, SPHERICAL):
        return 1.0 / np.sqrt(parameters.covariances), 1.0 / parameters.covariances
    kept = factors if structure == FULL else factors[0]
    return np.array(kept), kept @ np.swapaxes(kept, -1, -2)


def drawn_rows(
    parameters: MixtureParameters, counts: NDArray[np.int64], random_state: np.random.RandomState
) -> FloatArray:
    """Draw rows of each component in turn, with scikit-learn's calls of the random state."""
    return np.concatenate([_drawn(parameters, k, int(n), random_state) for k, n in enumerate(counts)])


def _drawn(parameters: MixtureParameters, k: int, n: int, random_state: np.random.RandomState) -> FloatArray:
    mean = parameters.means[k]
    if parameters.structure in (DIAGONAL, SPHERICAL):
        deviations = np.sqrt(parameters.covariances[k])
        return np.asarray(mean + random_state.standard_normal(size=(n, len(mean))) * deviations)
    return np.asarray(random_state.multivariate_normal(mean, parameters.matrices[k], n))


@dataclass(frozen=True, kw_only=True)
class Printer:
    """Prints the progress of a fit as scikit-learn does, with the start's number where there are several."""

    interval: int
    detailed: bool
    prefix: bool

    @classmethod
    def of(cls, verbose: int, interval: int, n_init: int) -> Printer | None:
        """Return a printer, or None where nothing is to be printed."""
        return cls(interval=interval, detailed=int(verbose) > 1, prefix=n_init > 1) if verbose else None

    def __call__(self, start: int, state: FitState) -> None:
        """Print what is due after an iteration."""
        sys.stdout.writelines(f"{line}\n" for line in self._lines(start, state))

    def _lines(self, start: int, state: FitState) -> Iterator[str]:
        name = f"{start}: " if self.prefix else ""
        change = state.trace[-1] - (state.trace[-2] if len(state.trace) > 1 else -np.inf)
        if state.iteration == 1:
            yield f"Initialization {start}"
        if state.iteration % self.interval == 0:
            yield f"  {name}Iteration {state.iteration}" + (f"\t ll change {change:.5f}" if self.detailed else "")
        if state.status != "running":
            ending = "converged" if state.status == "converged" else "did not converge"
            bound = f"\t lower bound {state.lower_bound:.5f}." if self.detailed else ""
            yield f"Initialization {name}{ending}.{bound}"

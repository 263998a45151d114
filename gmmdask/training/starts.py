"""Where plain EM begins: scikit-learn's own starts and the first M-step from them.

K-means and k-means++ are scikit-learn's, called in the order in which its mixtures draw random numbers, so that the
same rows and the same random state begin at the same place. Nothing here iterates EM or reads a source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine.pools import one_thread
from gmmdask.mixture.em import FitState, ModelSpec, maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, TIED, FloatArray, Moments, Structure
from gmmdask.training.guess import InitialGuess, InitParams

BLOCK_ROWS = 16_384
"""Rows at a time in the first M-step: bounds its memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleRows:
    """The rows that starts are drawn from.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features), float64 or float32
        Finite; row-major as scikit-learn has it.
    weights : ndarray of shape (n_rows,), optional
        Positive row weights; None means one each.
    centre : ndarray of shape (n_features,)
        Near the mean of the rows: what soft first moments are taken about.
    """

    values: NDArray[Any]
    weights: FloatArray | None
    centre: FloatArray

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    def taken(self, rows: NDArray[np.intp]) -> SampleRows:
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return SampleRows(values=self.values[rows], weights=weights, centre=self.centre)

    def blocks(self, centre: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield block by block the rows about a centre, shape (n_features, n), and their weights."""
        for start in range(0, self.n_rows, BLOCK_ROWS):
            part = self.values[start : start + BLOCK_ROWS]
            weights = np.ones(len(part)) if self.weights is None else self.weights[start : start + BLOCK_ROWS]
            yield np.subtract(part.T, centre[:, None], dtype=np.float64), weights


def draw_starts(
    rows: SampleRows, guess: InitialGuess, spec: ModelSpec, n_init: int, random_state: np.random.RandomState
) -> list[FitState]:
    """Draw starts one after the other from the same random state.

    Runs on one thread, since k-means gives other last bits with two.

    Parameters
    ----------
    rows : SampleRows
    guess : InitialGuess
    spec : ModelSpec
    n_init : int
        Number of starts.
    random_state : RandomState
        Advanced exactly as scikit-learn's `GaussianMixture.fit` does.

    Returns
    -------
    list of FitState
    """
    with one_thread():
        return [FitState(parameters=_start(rows, guess, spec, random_state)) for _ in range(n_init)]


def _start(
    rows: SampleRows, guess: InitialGuess, spec: ModelSpec, random_state: np.random.RandomState
) -> MixtureParameters:
    if guess.weights is not None and guess.means is not None and guess.precisions is not None:
        return MixtureParameters(
            structure=spec.structure,
            weights=guess.weights,
            means=guess.means,
            covariances=covariances_of(guess.precisions, spec.structure),
        )
    drawn = maximize(_drawn_moments(rows, guess.method, spec, random_state), spec.structure, spec.reg_covar)
    return replace(
        drawn,
        weights=drawn.weights if guess.weights is None else guess.weights,
        means=drawn.means if guess.means is None else guess.means,
        covariances=drawn.covariances if guess.precisions is None else covariances_of(guess.precisions, spec.structure),
    )


def covariances_of(precisions: FloatArray, structure: Structure) -> FloatArray:
    """Return the covariances whose inverses are given, in the structure's shape."""
    if structure in (DIAGONAL, SPHERICAL):
        return np.asarray(1.0 / precisions)
    inverse = np.linalg.inv(precisions)
    return np.asarray(0.5 * (inverse + np.swapaxes(inverse, -1, -2)))


def _drawn_moments(
    rows: SampleRows, method: InitParams, spec: ModelSpec, random_state: np.random.RandomState
) -> Moments:
    from sklearn.cluster import KMeans, kmeans_plusplus  # slow to load, and not every process begins a fit

    k = spec.n_components
    if method == "kmeans":
        kmeans = KMeans(n_clusters=k, n_init=1, random_state=random_state)
        return labelled_moments(rows, kmeans.fit(rows.values, sample_weight=rows.weights).labels_, k, spec.structure)
    if method == "random":
        return _random_moments(rows, k, spec.structure, random_state)
    if method == "k-means++":
        _, indices = kmeans_plusplus(rows.values, k, sample_weight=rows.weights, random_state=random_state)
    else:
        shares = None if rows.weights is None else rows.weights / rows.weights.sum()
        indices = random_state.choice(rows.n_rows, size=k, replace=False, p=shares)
    return _point_moments(rows, indices, spec)


def labelled_moments(
    rows: SampleRows, labels: NDArray[np.integer[Any]], n_components: int, structure: Structure
) -> Moments:
    """Return the moments of the groups that labels make, each about its own mean.

    Parameters
    ----------
    rows : SampleRows
    labels : ndarray of shape (n_rows,)
        Numbers from 0 to n_components − 1; a group may be empty.
    n_components : int
    structure : Structure
    """
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(n_components + 1))
    groups = [rows.taken(order[first:stop]) for first, stop in pairwise(bounds)]
    means = np.array([_mean(group) for group in groups])
    parts = [
        _summed((_sums(x, w[None], structure) for x, w in group.blocks(mean)), 1, structure, len(mean))
        for group, mean in zip(groups, means, strict=True)
    ]
    counts, first, second = (np.concatenate([np.atleast_1d(part[j]) for part in parts]) for j in range(3))
    if structure == TIED:
        second = np.sum([part[2] for part in parts], axis=0)
    return Moments(counts=counts, first=first, second=second, references=means)


def _mean(rows: SampleRows) -> FloatArray:
    if not rows.n_rows:
        return rows.centre
    anchor = rows.values[0].astype(np.float64)
    total, mass = np.zeros_like(anchor), 0.0
    for x, w in rows.blocks(anchor):
        total += x @ w
        mass += float(w.sum())
    return np.asarray(anchor + total / mass)


def _random_moments(
    rows: SampleRows, n_components: int, structure: Structure, random_state: np.random.RandomState
) -> Moments:
    parts = []
    for x, w in rows.blocks(rows.centre):
        r = random_state.uniform(size=(x.shape[1], n_components))
        parts.append(_sums(x, (r / r.sum(axis=1, keepdims=True)).T * w, structure))
    counts, first, second = _summed(parts, n_components, structure, len(rows.centre))
    return Moments(counts=counts, first=first, second=second, references=np.tile(rows.centre, (n_components, 1)))


def _point_moments(rows: SampleRows, indices: NDArray[np.intp], spec: ModelSpec) -> Moments:
    """Return the moments of components that hold one row each.

    For a tied covariance scikit-learn divides the scatter of *all* rows about zero by the K rows held; a start from
    the same place has to do so too.
    """
    points = rows.values[indices].astype(np.float64)
    k, d = points.shape
    second = np.zeros(spec.structure.covariance_shape(k, d))
    if spec.structure == TIED:
        unit = 1.0 if rows.weights is None or spec.weight_type == "frequency" else 1.0 / float(rows.weights.mean())
        for x, w in rows.blocks(np.zeros(d)):
            second += (unit * w * x) @ x.T
        second -= points.T @ points
    return Moments(counts=np.ones(k), first=np.zeros((k, d)), second=second, references=points)


Sums = tuple[FloatArray, FloatArray, FloatArray]


def _sums(x: FloatArray, r: FloatArray, structure: Structure) -> Sums:
    """Return counts, first and second sums of a block x, shape (d, n), with responsibilities r, shape (k, n)."""
    if structure == FULL:
        second = np.stack([(row * x) @ x.T for row in r])
    elif structure == TIED:
        second = (r.sum(axis=0) * x) @ x.T
    else:
        squares = x * x
        second = r @ squares.T if structure == DIAGONAL else r @ squares.sum(axis=0)
    return r.sum(axis=1), r @ x.T, second


def _summed(parts: Iterable[Sums], n_components: int, structure: Structure, n_features: int) -> Sums:
    counts, first = np.zeros(n_components), np.zeros((n_components, n_features))
    second = np.zeros(structure.covariance_shape(n_components, n_features))
    for part in parts:
        counts, first, second = counts + part[0], first + part[1], second + part[2]
    return counts, first, second

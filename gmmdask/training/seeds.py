"""Starts for the search: greedy k-means++ and a few Lloyd steps, and the neighbours' models split or merged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.em import COUNT_FLOOR, maximize
from gmmdask.mixture.moves import merge_components, nearest_pairs, split_component
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import Moments, Structure
from gmmdask.training.sample import Rows

FloatArray = NDArray[np.float64]
LLOYD_STEPS = 5
SPLITS, MERGES = 3, 2


def kmeans_labels(rows: Rows, scale: FloatArray, n_components: int, seed: int) -> NDArray[np.int32]:
    """Return the cluster of every row after greedy k-means++ and a few Lloyd steps in standardised units."""
    # Loading it takes as long as a whole night that keeps its champion, and such a night needs none of it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    # Duplicate rows or an unfinished run are no news here: these are starts.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans = KMeans(n_components, n_init=1, max_iter=LLOYD_STEPS, random_state=seed)
        return np.asarray(kmeans.fit((rows.values / scale[:, None]).T, sample_weight=rows.weights).labels_)


def moments_of_labels(rows: Rows, labels: NDArray[np.int32], n_components: int) -> Moments:
    """Return the moments of hard assignments about the clusters' own means, with whole second moments."""
    d = len(rows.values)
    counts, means = np.zeros(n_components), np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    for k in range(n_components):
        values, weights = rows.values[:, labels == k], rows.weights[labels == k]
        counts[k] = weights.sum()
        means[k] = values @ weights / max(counts[k], COUNT_FLOOR)
        centred = values - means[k][:, None]
        second[k] = (centred * weights) @ centred.T
    return Moments(counts=counts, first=np.zeros_like(means), second=second, references=means)


def parameters_of_moments(moments: Moments, structure: Structure, reg_covar: float) -> MixtureParameters:
    """Return the maximising parameters of a structure given whole second moments about the means."""
    own = Moments(
        counts=moments.counts,
        first=moments.first,
        second=structure.compress(moments.second),
        references=moments.references,
    )
    return maximize(own, structure, reg_covar)


def kmeans_starts(
    rows: Rows,
    scale: FloatArray,
    n_components: int,
    structures: Sequence[Structure],
    seeds: Sequence[int],
    reg_covar: float,
) -> list[MixtureParameters]:
    """Return one start for each seed and structure; all structures share a seed's clusters."""
    starts = []
    for seed in seeds[:1] if n_components == 1 else seeds:
        moments = moments_of_labels(rows, kmeans_labels(rows, scale, n_components, seed), n_components)
        starts += [parameters_of_moments(moments, structure, reg_covar) for structure in structures]
    return starts


def resized(model: MixtureParameters, n_components: int) -> list[MixtureParameters]:
    """Return starts of a given size out of a model of about that size.

    One of the three heaviest components is cut in half, or one of the two nearest pairs joined; a model that has the
    size already is a start itself.
    """
    if model.n_components == n_components:
        return [model]
    if model.n_components == n_components - 1:
        heaviest = np.argsort(-model.weights, kind="stable")[:SPLITS]
        return [split_component(model, int(k)) for k in heaviest]
    if model.n_components == n_components + 1:
        return [merge_components(model, *pair) for pair in nearest_pairs(model, MERGES)]
    return []

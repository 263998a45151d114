"""The mixture seen from the side where its segments lie furthest apart: axes, ellipses, and rows of a sample on them.

Numbers in, numbers out. One or two features need no projection and stay in original units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.preparation.recipe import Recipe
from gmmdask.scoring import SegmentModel, score_leaf

FloatArray = NDArray[np.float64]

HALF_RADIUS = float(np.sqrt(2 * np.log(2)))
"""Mahalanobis radius that holds half of a two-dimensional Gaussian: P(chi-squared of 2 degrees < r²) = 1 − exp(−r²/2)."""

OUTLINE_POINTS = 73
SHOWN_TAIL = 0.005
LOADINGS_TOLD = 3
LOADING_WORTH_TELLING = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Segments and rows in two dimensions.

    Parameters
    ----------
    centres : ndarray of shape (n_segments, 2)
    outlines : ndarray of shape (n_segments, n_points, 2)
        Closed ellipses that hold half of each component.
    points : ndarray of shape (n_rows, 2)
        Rows of the sample; none without a sample.
    components : ndarray of shape (n_rows,), int64
        The segment of each row, by position.
    loadings : tuple of two tuples of (feature, correlation)
        The features that go most with each axis; empty where the axes are the features themselves.
    features : tuple of str
        The axes' names where they are features; empty otherwise.
    limits : ndarray of shape (2, 2)
        Lower and upper end of each axis that show all but the furthest rows.
    """

    centres: FloatArray
    outlines: FloatArray
    points: FloatArray
    components: NDArray[np.int64]
    loadings: tuple[tuple[tuple[str, float], ...], ...]
    features: tuple[str, ...]
    limits: FloatArray


def project(model: SegmentModel, sample: NDArray[Any] | None) -> Projection:
    """Project a mixture of at least two features and the rows of a sample.

    Parameters
    ----------
    model : SegmentModel
    sample : ndarray of shape (n_features, n_rows), optional
        Raw values, NaN where missing; rows that cannot be scored are left out.
    """
    parameters = model.parameters
    rows, components = _scored(model, sample)
    plain = _are_plain(model.recipe)
    axes = np.eye(2) if plain else discriminant_axes(parameters)
    origin = np.zeros(2) if plain else parameters.weights @ parameters.means @ axes
    centres = parameters.means @ axes - origin
    outlines = centres[:, None, :] + _outlines(axes.T @ parameters.matrices @ axes)
    points = rows.T @ axes - origin
    if plain:
        centres, outlines, points = (_raw(model.recipe, found) for found in (centres, outlines, points))
    return Projection(
        centres=centres,
        outlines=outlines,
        points=points,
        components=components,
        loadings=() if plain else _loadings(parameters, axes, model.recipe.prepared_features),
        features=model.recipe.prepared_features if plain else (),
        limits=_limits(points, outlines),
    )


def discriminant_axes(parameters: MixtureParameters) -> FloatArray:
    """Return the two directions along which components lie furthest apart, shape (n_features, 2).

    Fisher's discriminant directions (Rao 1948): the leading eigenvectors a of B a = λ W a, with the covariance B of the
    component means and the mean W of the component covariances; a row's coordinates are in standard deviations within
    components. Where fewer than two directions separate anything, the longest remaining axis of W takes the place.
    """
    within = np.einsum("k,kij->ij", parameters.weights, parameters.matrices)
    offsets = parameters.means - parameters.weights @ parameters.means
    between = (offsets * parameters.weights[:, None]).T @ offsets
    values, vectors = np.linalg.eigh(within)
    whitening = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    separated, directions = np.linalg.eigh(whitening.T @ between @ whitening)
    useful = directions[:, separated > 1e-9 * max(1.0, separated[-1])][:, ::-1][:, :2]
    for column in np.eye(len(values))[::-1]:
        remainder = column - useful @ (useful.T @ column)
        if useful.shape[1] < 2 and np.linalg.norm(remainder) > 0.5:
            useful = np.column_stack([useful, remainder / np.linalg.norm(remainder)])
    axes = np.asarray(whitening @ useful)
    correlations = _correlations(parameters, axes)
    strongest = correlations[np.abs(correlations).argmax(axis=0), [0, 1]]
    return axes * np.where(strongest < 0, -1.0, 1.0)


def marginal(model: SegmentModel, n_points: int = 400) -> tuple[FloatArray, FloatArray]:
    """Return values of the only feature in original units, and every component's weighted density there.

    Returns
    -------
    values : ndarray of shape (n_points,)
    densities : ndarray of shape (n_components, n_points)
    """
    parameters = model.parameters
    means, deviations = parameters.means[:, 0], np.sqrt(parameters.matrices[:, 0, 0])
    prepared = np.linspace((means - 3 * deviations).min(), (means + 3 * deviations).max(), n_points)
    scaled = (prepared - means[:, None]) / deviations[:, None]
    heights = parameters.weights[:, None] * np.exp(-0.5 * scaled**2) / (deviations[:, None] * np.sqrt(2 * np.pi))
    feature = model.recipe.features.index(model.recipe.prepared_features[0])
    values = model.recipe.invert(prepared[None])[feature]
    return values, heights / np.gradient(values, prepared)


def _scored(model: SegmentModel, sample: NDArray[Any] | None) -> tuple[FloatArray, NDArray[np.int64]]:
    if sample is None:
        return np.empty((model.parameters.n_features, 0)), np.empty(0, dtype=np.int64)
    scores = score_leaf(sample, model)
    prepared, _ = model.recipe.apply(np.ascontiguousarray(sample[:, scores.scored]))
    return prepared, scores.component


def _are_plain(recipe: Recipe) -> bool:
    return recipe.is_linear and len(recipe.prepared_features) == len(recipe.features) == 2


def _raw(recipe: Recipe, prepared: FloatArray) -> FloatArray:
    flat = np.ascontiguousarray(prepared.reshape(-1, 2).T)
    return np.ascontiguousarray(recipe.invert(flat).T).reshape(prepared.shape)


def _outlines(covariances: FloatArray) -> FloatArray:
    angles = np.linspace(0, 2 * np.pi, OUTLINE_POINTS)
    circle = HALF_RADIUS * np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray((np.linalg.cholesky(covariances) @ circle).transpose(0, 2, 1))


def _correlations(parameters: MixtureParameters, axes: FloatArray) -> FloatArray:
    """Return the correlations over all rows between the features and each axis, shape (n_features, 2)."""
    offsets = parameters.means - parameters.weights @ parameters.means
    total = np.einsum("k,kij->ij", parameters.weights, parameters.matrices + offsets[:, :, None] * offsets[:, None, :])
    shared = total @ axes
    return np.asarray(shared / np.sqrt(np.diagonal(total)[:, None] * np.einsum("ia,ia->a", axes, shared)))


def _loadings(
    parameters: MixtureParameters, axes: FloatArray, features: tuple[str, ...]
) -> tuple[tuple[tuple[str, float], ...], ...]:
    told = []
    for correlations in _correlations(parameters, axes).T:
        order = np.argsort(-np.abs(correlations), kind="stable")[:LOADINGS_TOLD]
        strong = [j for j in order if abs(correlations[j]) >= LOADING_WORTH_TELLING] or [order[0]]
        told.append(tuple((features[j], float(correlations[j])) for j in strong))
    return tuple(told)


def _limits(points: FloatArray, outlines: FloatArray) -> FloatArray:
    shown = outlines.reshape(-1, 2)
    if len(points):
        tails = np.quantile(points, [SHOWN_TAIL, 1 - SHOWN_TAIL], axis=0)
        slack = 0.25 * np.ptp(tails, axis=0)
        shown = np.concatenate([tails, np.clip(shown, tails[0] - slack, tails[1] + slack)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = 0.04 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin], axis=1)

"""Models and rows that were made up, and what a plain reading of the formulas says of them."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FULL
from gmmdask.preparation.recipe import Recipe
from gmmdask.scoring import SegmentModel

FEATURES = ("a", "b", "c")
IDS = (7, 3, 5)


def made_up_model(seed: int = 0, threshold: float | None = -8.0, constant: tuple[str, ...] = ()) -> SegmentModel:
    rng = np.random.default_rng(seed)
    d = len(FEATURES) - len(constant)
    roots = rng.normal(size=(3, d, d))
    parameters = MixtureParameters(
        structure=FULL,
        weights=np.array([0.5, 0.3, 0.2]),
        means=rng.normal(size=(3, d)) * 2,
        covariances=roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(d),
    )
    recipe = Recipe.affine(
        features=FEATURES, centre=np.array([1.0, -20.0, 300.0]), scale=np.array([0.5, 4.0, 80.0]), constant=constant
    )
    return SegmentModel(
        recipe=recipe,
        parameters=parameters,
        reference=Reference.of(parameters),
        segment_ids=IDS,
        anomaly_threshold=threshold,
    )


def made_up_rows(model: SegmentModel, n: int, seed: int = 1, holes: float = 0.0) -> np.ndarray:
    """Rows around the components in original units, some cells of which are missing or infinite."""
    rng = np.random.default_rng(seed)
    component = rng.integers(0, model.n_segments, n)
    prepared = model.parameters.means[component].T + rng.normal(size=(model.parameters.n_features, n))
    values = model.recipe.invert(prepared)
    values[rng.random(values.shape) < holes] = np.nan
    values[rng.random(values.shape) < holes / 4] = np.inf
    return values


def expected_scores(values: np.ndarray, model: SegmentModel) -> tuple[np.ndarray, np.ndarray]:
    """Log density of the mixture written in original units, and the posterior of every component, row by row."""
    recipe, parameters = model.recipe, model.parameters
    used = [recipe.features.index(name) for name in recipe.prepared_features]
    scale, centre = recipe.scale[used], recipe.centre[used]
    joint = np.array(
        [
            [
                np.log(weight) + multivariate_normal.logpdf(row, mean * scale + centre, matrix * np.outer(scale, scale))
                for weight, mean, matrix in zip(parameters.weights, parameters.means, parameters.matrices, strict=True)
            ]
            for row in values[used].T
        ]
    ).reshape(values.shape[1], model.n_segments)
    density = logsumexp(joint, axis=1) if len(joint) else np.empty(0)
    return density, np.exp(joint - density[:, None])

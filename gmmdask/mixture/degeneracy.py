"""Signs that a fit describes the regularisation instead of the data.

Likelihood is unbounded where a component collapses on few or identical values; then `reg_covar` alone decides how
high it gets. These checks say so; what is done about it (reseed, drop, disqualify) is training's business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.parameters import MixtureParameters

FLOOR_FACTOR = 20.0
LARGEST_FLOORED_MASS = 0.01
LARGEST_SENSITIVITY = 1e-2
SMALL_VARIANCE_FACTOR = 1e4
FEWEST_ROWS = 30


def floored_components(parameters: MixtureParameters, reg_covar: float) -> NDArray[np.bool_]:
    """Return which components' smallest variance in any direction is under 20·reg_covar."""
    smallest = np.linalg.eigvalsh(parameters.matrices)[:, 0]
    return np.asarray(smallest < FLOOR_FACTOR * reg_covar)


def floored_mass(parameters: MixtureParameters, reg_covar: float) -> float:
    """Return the share of the mixture's weight in floored components."""
    return float(parameters.weights[floored_components(parameters, reg_covar)].sum())


def small_features(variances: NDArray[np.float64], reg_covar: float) -> NDArray[np.bool_]:
    """Return which features vary so little that `reg_covar` swallows them: variance under 1e4·reg_covar."""
    return np.asarray(variances < SMALL_VARIANCE_FACTOR * reg_covar)

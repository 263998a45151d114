"""scikit-learn's checks of estimators, for one and three components and every structure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gmmdask import GaussianMixture
from tests.estimator.examples import STRUCTURES

RANDOM_STARTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "k-means draws its first centres from the rows as they are listed: the same seed draws others from repeated"
        " rows than from weighted ones (equal starts do give equal fits, see test_weights)"
    ),
}
"""With one component the start is not random, and nothing is expected to fail."""


def expected_failures(model: GaussianMixture) -> dict[str, str]:
    return {} if model.n_components == 1 else RANDOM_STARTS


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [GaussianMixture(k, covariance_type=structure) for k in (1, 3) for structure in STRUCTURES],  # type: ignore[arg-type]
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_the_checks_of_scikit_learn_pass(estimator: GaussianMixture, check: Callable[[Any], None]) -> None:
    check(estimator)

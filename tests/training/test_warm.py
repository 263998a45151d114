"""A warm start takes EM's own steps from the model it is given, and notices data that change between passes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from gmmdask.engine import LocalEngine
from gmmdask.errors import InconsistentStatisticsError
from gmmdask.lake import ArraySource
from gmmdask.mixture.em import ModelSpec
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FULL
from gmmdask.training.warm import continue_fit
from tests.training.worlds import three_clusters

VALUES = three_clusters(600)
START = MixtureParameters(
    structure=FULL,
    weights=np.array([0.3, 0.3, 0.4]),
    means=np.array([[0.5, 0.5], [6.0, 1.0], [1.0, 6.0]]),
    covariances=np.stack([np.eye(2) * 2.0] * 3),
)
SPEC = ModelSpec(structure=FULL, n_components=3, tol=0.0, max_iter=3)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_steps_are_those_of_scikit_learn_from_the_same_start(steps):
    peer = GaussianMixture(
        3,
        tol=0.0,
        max_iter=steps,
        weights_init=START.weights,
        means_init=START.means,
        precisions_init=np.linalg.inv(START.covariances),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(VALUES)
    spec = replace(SPEC, max_iter=steps)
    state = continue_fit(ArraySource.of(VALUES), LocalEngine(), START, Reference.of(START), spec)
    np.testing.assert_allclose(state.parameters.means, peer.means_, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state.parameters.covariances, peer.covariances_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state.parameters.weights, peer.weights_, rtol=1e-10)


def test_at_a_fixed_point_one_pass_is_enough_and_nothing_moves():
    source, engine = ArraySource.of(VALUES), LocalEngine()
    settled = continue_fit(source, engine, START, Reference.of(START), replace(SPEC, max_iter=200)).parameters
    state = continue_fit(source, engine, settled, Reference.of(START), replace(SPEC, tol=1e-6, max_iter=10))
    assert state.iteration == 2, "the second evaluation is the first that can tell"
    np.testing.assert_allclose(state.parameters.means, settled.means, atol=1e-9)


def test_a_collapse_is_told_and_not_thrown():
    values = np.repeat(VALUES[:1], 50, axis=0)
    state = continue_fit(
        ArraySource.of(values), LocalEngine(), START, Reference.of(START), replace(SPEC, reg_covar=0.0)
    )
    assert state.status == "degenerate"


class Shrinking:
    """A source that loses its last row with every pass."""

    def __init__(self, values: np.ndarray) -> None:
        self.source = ArraySource.of(values)
        self.features, self.partitions, self.fingerprint = self.source.features, self.source.partitions, "shrinking"
        self.passes = 0

    def read(self, partition, first=0, stop=None):
        self.passes += 1
        for leaf in self.source.read(partition, first, stop):
            yield replace(leaf, values=np.ascontiguousarray(leaf.values[:, self.passes :]))


def test_data_that_change_between_passes_are_refused():
    engine = LocalEngine(memory_limit=0)
    with pytest.raises(InconsistentStatisticsError, match=r"Pass iteration-1 saw 598 rows .* the first one 599"):
        continue_fit(Shrinking(VALUES), engine, START, Reference.of(START), SPEC)

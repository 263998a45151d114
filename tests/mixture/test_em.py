"""EM: monotone, invariant where it must be, and right where sums about the centre would lose digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.mixture.criteria import (
    aic,
    bic,
    effective_rows,
    entropy,
    expected_log_joint,
    icl,
    remaining_gain,
    sure_gain,
)
from gmmdask.mixture.em import FitState, ModelSpec, advance, maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import score_rows, summarize
from gmmdask.mixture.stack import Reference, compile_stack
from gmmdask.mixture.statistics import Coverage
from gmmdask.mixture.structures import FULL, STRUCTURES, Structure
from tests.mixture.worlds import World, joint_densities, random_mixture, responsibilities, worlds


def reference_of(values: np.ndarray) -> Reference:
    return Reference(centre=values.mean(axis=1), scale=values.std(axis=1))


def step(values: np.ndarray, parameters: MixtureParameters, reg_covar: float = 0.0) -> tuple[float, MixtureParameters]:
    """Return the log-likelihood and the next parameters."""
    stack = compile_stack([parameters], reference_of(values))
    statistics = summarize(values, None, stack, Coverage.of_leaf(0, 0))
    return float(statistics.log_likelihoods[0]), maximize(stack.moments(statistics, 0), parameters.structure, reg_covar)


def blobs(seed: int, d: int = 3, n: int = 400) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.ascontiguousarray((random.normal(size=(n, d)) + random.integers(0, 3, size=(n, 1)) * 4).T)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
@given(seed=st.integers(0, 10_000))
def test_a_step_never_lowers_the_likelihood(structure: Structure, seed: int) -> None:
    """By more than 1e-8 nats per row, without regularisation."""
    values = blobs(seed)
    parameters = random_mixture(np.random.default_rng(seed), structure, 3, 3)
    likelihood = -np.inf
    for _ in range(6):
        before, (likelihood, parameters) = likelihood, step(values, parameters)
        assert likelihood >= before - 1e-8 * values.shape[1]
        if not parameters.is_positive_definite:
            return


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_an_offset_changes_nothing_but_the_means(structure: Structure, offset: float) -> None:
    """Likelihood per row within 1e-6, weights and covariances to the digits that the offset rows still hold."""
    values = blobs(1)
    start = random_mixture(np.random.default_rng(0), structure, 3, 3)
    shifted = MixtureParameters(
        structure=structure, weights=start.weights, means=start.means + offset, covariances=start.covariances
    )
    here, there = step(values, start), step(values + offset, shifted)
    assert abs(here[0] - there[0]) / values.shape[1] < 1e-6
    np.testing.assert_allclose(there[1].weights, here[1].weights, atol=1e-6)
    np.testing.assert_allclose(there[1].means - offset, here[1].means, atol=1e-6 * max(1, offset / 1e8) * 10)
    np.testing.assert_allclose(there[1].covariances, here[1].covariances, atol=1e-5)


@given(st.permutations(range(4)), st.sampled_from(STRUCTURES))
def test_the_order_of_components_does_not_matter(order: list[int], structure: Structure) -> None:
    """Equal to rounding after a step."""
    values = blobs(2)
    start = random_mixture(np.random.default_rng(3), structure, 4, 3)
    plain, permuted = step(values, start, 1e-6), step(values, start.permuted(order), 1e-6)
    assert plain[0] == pytest.approx(permuted[0], rel=1e-12)
    np.testing.assert_allclose(permuted[1].means, plain[1].means[order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_a_tight_component_far_from_the_centre_keeps_its_covariance(structure: Structure) -> None:
    """Standard deviations of 1e-6, a million apart: sums about the components' own means keep ten digits."""
    random = np.random.default_rng(5)
    noise = random.normal(size=(2, 1000)) * 1e-6
    values = np.ascontiguousarray(np.concatenate([noise[:, :500] - 0.5, noise[:, 500:] + 0.5], axis=1))
    start = MixtureParameters(
        structure=structure,
        weights=np.full(2, 0.5),
        means=np.array([[-0.5, -0.5], [0.5, 0.5]]),
        covariances={
            "full": np.array([np.eye(2) * 1e-12] * 2),
            "tied": np.eye(2) * 1e-12,
            "diag": np.full((2, 2), 1e-12),
            "spherical": np.full(2, 1e-12),
        }[structure.name],
    )
    stack = compile_stack([start], reference_of(values))
    assert stack.layout.local == (0,)
    variances = np.diagonal(step(values, start)[1].matrices, axis1=1, axis2=2)
    halves = np.array([values[:, :500], values[:, 500:]])
    deviations = halves - halves.mean(axis=2, keepdims=True)
    own = (deviations**2).mean(axis=2)
    expected = {"tied": own.mean(axis=0), "spherical": own.mean(axis=1, keepdims=True)}.get(structure.name, own)
    np.testing.assert_allclose(variances, np.broadcast_to(expected, (2, 2)), rtol=1e-8)


def test_states_end_converged_exhausted_or_degenerate() -> None:
    values = blobs(0)
    start = random_mixture(np.random.default_rng(0), FULL, 2, 3)
    stack = compile_stack([start], reference_of(values))
    statistics = summarize(values, None, stack, Coverage.of_leaf(0, 0))
    moments, likelihood = stack.moments(statistics, 0), float(statistics.log_likelihoods[0]) / 400
    spec = ModelSpec(structure=FULL, n_components=2, max_iter=2)
    first = advance(FitState(parameters=start), likelihood, moments, spec)
    assert (first.status, first.iteration, first.trace) == ("running", 1, (likelihood,))
    assert advance(first, likelihood, moments, spec).status == "converged"
    assert advance(first, likelihood + 1, moments, spec).status == "exhausted"
    flat = np.concatenate([values[:2], values[:1]])
    tiny = summarize(np.ascontiguousarray(flat[:, :2]), None, stack, Coverage.of_leaf(0, 0))
    bare = ModelSpec(structure=FULL, n_components=2, reg_covar=0.0)
    assert advance(first, likelihood, stack.moments(tiny, 0), bare).status == "degenerate"


@given(worlds(min_rows=2))
def test_entropy_and_expected_joint_are_those_of_a_loop(world: World) -> None:
    """To 1e-8 of their size."""
    reference = reference_of(world.values)
    stack = compile_stack(world.candidates, reference)
    statistics = summarize(world.values, None, stack, Coverage.of_leaf(0, 0))
    for c, parameters in enumerate(world.candidates):
        r, _ = responsibilities(world.values, parameters)
        joint = joint_densities(world.values, parameters).astype(float)
        moments = stack.moments(statistics, c)
        scale = np.abs(r * joint).sum() + 1
        assert abs(expected_log_joint(parameters, moments) - (r * joint).sum()) < 1e-8 * scale
        expected = -(r * np.log(np.maximum(r, 1e-300))).sum()
        assert abs(entropy(parameters, float(statistics.log_likelihoods[c]), moments) - expected) < 1e-8 * scale


@given(st.integers(0, 10_000), st.sampled_from(STRUCTURES))
def test_the_sure_gain_is_a_lower_bound_on_the_gain(seed: int, structure: Structure) -> None:
    """EM's inequality, with 1e-9 of slack per row for rounding."""
    values = blobs(seed, n=200)
    start = random_mixture(np.random.default_rng(seed), structure, 2, 3)
    stack = compile_stack([start], reference_of(values))
    statistics = summarize(values, None, stack, Coverage.of_leaf(0, 0))
    following = maximize(stack.moments(statistics, 0), structure, 1e-9)
    gain = sure_gain(start, following, stack.moments(statistics, 0))
    assert -1e-3 <= gain <= step(values, following)[0] - step(values, start)[0] + 1e-7 * 200


@given(worlds(min_rows=1))
def test_scores_are_densities_and_posteriors(world: World) -> None:
    """Against extended precision, to 1e-8."""
    for parameters in world.candidates:
        scores = score_rows(world.values, parameters, reference_of(world.values))
        r, densities = responsibilities(world.values, parameters)
        np.testing.assert_allclose(scores.log_densities, densities, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(scores.responsibilities, r, atol=1e-8)


def test_criteria_have_their_textbook_values() -> None:
    """log L = −100, P = 5, N = e²: AIC 210, BIC 210, ICL with entropy 3: 216; Kish's effective size."""
    rows = float(np.exp(2))
    assert aic(-100.0, 5) == 210.0
    assert bic(-100.0, 5, rows) == pytest.approx(210.0)
    assert icl(-100.0, 5, rows, 3.0) == pytest.approx(216.0)
    assert effective_rows(10.0, 50.0, "importance") == 2.0
    assert effective_rows(10.0, 50.0, "frequency") == 10.0


def test_aitken_is_exact_for_a_geometric_approach() -> None:
    """Increments 1, ½, ¼: another ¼ is to come; nothing is known from two values."""
    assert remaining_gain((0.0, 1.0, 1.5, 1.75)) == pytest.approx(0.25)
    assert remaining_gain((0.0, 1.0)) == float("inf")
    assert remaining_gain((0.0, 1.0, 3.0)) == float("inf")
    assert remaining_gain((0.0, 1.0, 1.0)) == 0.0

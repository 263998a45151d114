"""The map of a mixture, against SciPy and against what an ellipse and a density are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.linalg import eigh

from gmmdask.report.projection import discriminant_axes, marginal, project
from tests.report.worlds import Wish, made_up_model, made_up_rows

WISHES = st.builds(
    Wish,
    n_segments=st.integers(1, 6),
    n_features=st.integers(2, 7),
    seed=st.integers(0, 10_000),
    n_rows=st.just(50),
    holes=st.integers(0, 5),
)


def scatter(parameters):
    within = sum(w * s for w, s in zip(parameters.weights, parameters.matrices, strict=True))
    centre = parameters.weights @ parameters.means
    between = sum(
        w * np.outer(m - centre, m - centre) for w, m in zip(parameters.weights, parameters.means, strict=True)
    )
    return within, between


@given(WISHES)
@settings(max_examples=30)
def test_axes_count_standard_deviations_within_components_and_do_not_mix(wish):
    parameters = made_up_model(wish).parameters
    within, _ = scatter(parameters)
    axes = discriminant_axes(parameters)
    np.testing.assert_allclose(axes.T @ within @ axes, np.eye(2), atol=1e-9)


@given(WISHES)
@settings(max_examples=30)
def test_no_direction_separates_components_more_than_the_axes(wish):
    parameters = made_up_model(wish).parameters
    within, between = scatter(parameters)
    axes = discriminant_axes(parameters)
    best = eigh(between, within, eigvals_only=True)[::-1][:2]
    np.testing.assert_allclose(np.diag(axes.T @ between @ axes), best, atol=1e-9 * max(1.0, best[0]))


@given(WISHES)
@settings(max_examples=20)
def test_ellipses_hold_half_of_a_component_and_rows_keep_their_segments(wish):
    model = made_up_model(wish)
    rows = made_up_rows(model, wish)
    found = project(model, rows)
    assert len(found.points) == len(found.components) == np.isfinite(rows).all(axis=0).sum()
    rng = np.random.default_rng(0)
    axes = discriminant_axes(model.parameters) if wish.n_features > 2 else np.diag(model.recipe.scale)
    for position, outline in enumerate(found.outlines):
        covariance = axes.T @ model.parameters.matrices[position] @ axes
        drawn = rng.multivariate_normal(found.centres[position], covariance, 4_000)
        inverse = np.linalg.inv(covariance)

        def distance(points, centre=found.centres[position], inverse=inverse):
            return np.einsum("ni,ij,nj->n", points - centre, inverse, points - centre)

        edge = distance(outline)
        np.testing.assert_allclose(edge, edge[0], rtol=1e-6)
        assert abs((distance(drawn) < edge[0]).mean() - 0.5) < 0.04


def test_two_features_stay_in_original_units():
    wish = Wish(n_features=2, holes=0)
    model = made_up_model(wish)
    rows = made_up_rows(model, wish)
    found = project(model, rows)
    np.testing.assert_allclose(found.points, rows.T, rtol=1e-9)
    np.testing.assert_allclose(found.centres, model.centres, rtol=1e-9)
    assert found.features == model.recipe.features


def test_the_furthest_rows_do_not_squeeze_the_map():
    wish = Wish(n_features=2, holes=0, n_rows=1_000)
    model = made_up_model(wish)
    rows = made_up_rows(model, wish)
    calm = project(model, rows).limits
    rows[:, 0] = 1e6 * model.recipe.scale
    np.testing.assert_allclose(np.ptp(project(model, rows).limits, axis=1), np.ptp(calm, axis=1), rtol=0.2)


def test_without_a_sample_the_map_shows_the_ellipses():
    model = made_up_model(Wish())
    found = project(model, None)
    assert found.points.shape == (0, 2)
    low, high = found.limits.T
    assert ((found.outlines > low) & (found.outlines < high)).all()


def test_densities_along_a_single_feature_hold_the_weights():
    model = made_up_model(Wish(n_features=1, n_segments=3))
    values, densities = marginal(model, 2_000)
    np.testing.assert_allclose(trapezoid(densities, values, axis=1), model.parameters.weights, rtol=5e-3)


@pytest.mark.parametrize("n_segments", [1, 2])
def test_few_components_still_have_two_axes(n_segments):
    axes = discriminant_axes(made_up_model(Wish(n_segments=n_segments, n_features=5)).parameters)
    assert np.linalg.matrix_rank(axes) == 2

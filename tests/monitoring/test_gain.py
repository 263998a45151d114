"""G is a sure gain, and its parts say what moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import EmptyDataError
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import STRUCTURES
from gmmdask.monitoring import Champion, measure_gain, retrained, total_gain
from gmmdask.monitoring.gain import _floored_weights
from tests.mixture.worlds import random_mixture
from tests.monitoring.worlds import Watched, drawn, fitted, mean_log_density, summed, watched

ROUNDING = 1e-9


@given(watched())
def test_no_night_offers_less_than_nothing(world: Watched) -> None:
    """To rounding, for every structure, few rows and many; without regularisation."""
    gain = measure_gain(world.statistics, world.champion)
    assert gain.total >= -ROUNDING
    assert all((values >= -ROUNDING).all() for values in (gain.mean, gain.covariance))


@given(watched(reg_covar=1e-3))
def test_regularisation_costs_at_most_half_of_itself_times_the_precisions(world: Watched) -> None:
    """The M-step maximises the likelihood less ½·reg·Σ n·tr Σ⁻¹: what G may fall under zero."""
    after, _ = retrained(world.statistics, world.champion)
    factors = world.champion.parameters.precision_factors
    share = world.champion.moments(world.statistics).counts / world.statistics.mass
    cost = 0.5 * 1e-3 * float(share @ (factors**2).sum(axis=(1, 2)))
    assert total_gain(world.statistics, world.champion) >= -cost - ROUNDING
    assert after.is_positive_definite


@given(watched(reg_covar=1e-6))
def test_the_step_gains_at_least_what_was_promised(world: Watched) -> None:
    """The mean log density of the rows themselves, before and after the step."""
    after, _ = retrained(world.statistics, world.champion)
    realised = mean_log_density(world.rows, after) - mean_log_density(world.rows, world.champion.parameters)
    promised = total_gain(world.statistics, world.champion)
    assert realised >= promised - 1e-8 * (1 + abs(promised))


@given(watched(reg_covar=1e-6))
def test_the_parts_add_up(world: Watched) -> None:
    """To rounding."""
    gain = measure_gain(world.statistics, world.champion)
    parts = sum(float(values.sum()) for values in gain.parts.values())
    assert parts == pytest.approx(gain.total, rel=1e-8, abs=1e-9)
    assert gain.by_component.sum() == pytest.approx(parts)
    assert gain.total == total_gain(world.statistics, world.champion)


@given(watched(reg_covar=1e-6), st.randoms(use_true_random=False))
def test_permuting_the_components_permutes_the_parts(world: Watched, chance) -> None:
    """To rounding."""
    champion = world.champion
    order = list(range(champion.parameters.n_components))
    chance.shuffle(order)
    permuted = Champion(
        parameters=champion.parameters.permuted(order), reference=champion.reference, reg_covar=champion.reg_covar
    )
    here = measure_gain(world.statistics, champion)
    there = measure_gain(summed(permuted, world.rows), permuted)
    assert there.total == pytest.approx(here.total, rel=1e-7, abs=1e-9)
    for name, values in here.parts.items():
        np.testing.assert_allclose(there.parts[name], values[order], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_a_fixed_point_has_nothing_to_gain(structure) -> None:
    random = np.random.default_rng(7)
    truth = random_mixture(random, structure, 2, 3)
    rows = drawn(truth, 400, random)
    champion = fitted(rows, truth, Reference(centre=np.zeros(3), scale=np.ones(3)), steps=400)
    gain = measure_gain(summed(champion, rows), champion)
    assert abs(gain.total) < 1e-9
    assert all(np.abs(values).max() < 1e-9 for values in gain.parts.values())


def one_change(change: str) -> Watched:
    random = np.random.default_rng(11)
    parameters = replace(
        random_mixture(random, STRUCTURES[3], 3, 2), means=np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    )
    truth = {
        "weight": replace(parameters, weights=np.array([0.6, 0.2, 0.2])),
        "mean": replace(parameters, means=parameters.means + np.array([[0, 0], [0.5, 0.5], [0, 0]])),
        "covariance": replace(parameters, covariances=parameters.covariances * [[[1]], [[1]], [[2.0]]]),
    }[change]
    parameters = replace(parameters, weights=np.array([0.3, 0.35, 0.35]))
    truth = truth if change == "weight" else replace(truth, weights=parameters.weights)
    champion = Champion(parameters=parameters, reference=Reference(centre=np.full(2, 6.0), scale=np.full(2, 9.0)))
    return Watched(champion=champion, rows=drawn(truth, 20_000, random))


@pytest.mark.parametrize(("change", "component"), [("weight", 0), ("mean", 1), ("covariance", 2)])
def test_what_moved_is_named(change: str, component: int) -> None:
    world = one_change(change)
    gain = measure_gain(world.statistics, world.champion)
    assert gain.largest == (component, change)
    assert gain.parts[change][component] > 0.5 * gain.total


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_a_component_with_few_rows_keeps_its_shape_and_a_floor_of_weight(structure) -> None:
    random = np.random.default_rng(5)
    parameters = replace(
        random_mixture(random, structure, 3, 2), means=np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    )
    champion = Champion(parameters=parameters, reference=Reference(centre=np.zeros(2), scale=np.full(2, 20.0)))
    rows = np.hstack([random.normal(size=(2, 500)), random.normal(size=(2, 29)) + np.array([[50.0], [0.0]])])
    after, kept = retrained(summed(champion, rows), champion)
    assert kept.tolist() == [False, True, True]
    np.testing.assert_array_equal(after.means[1:], parameters.means[1:])
    assert after.weights[2] == pytest.approx(1 / 529, rel=0.01)
    assert after.weights.sum() == pytest.approx(1)
    assert measure_gain(summed(champion, rows), champion).total >= 0


def test_values_beyond_all_bounds_are_seen_instead_of_raising() -> None:
    world = one_change("mean")
    rows = world.rows.copy()
    rows[0] *= 1e9
    assert total_gain(summed(world.champion, rows), world.champion) > 1e6


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_a_column_that_stands_still_is_seen_instead_of_raising(structure) -> None:
    random = np.random.default_rng(2)
    parameters = random_mixture(random, structure, 2, 3)
    champion = Champion(parameters=parameters, reference=Reference(centre=np.zeros(3), scale=np.ones(3)))
    rows = drawn(parameters, 1_000, random)
    rows[1] = 0.123
    assert measure_gain(summed(champion, rows), champion).total > 0.1


def test_no_rows_are_no_night() -> None:
    world = one_change("mean")
    with pytest.raises(EmptyDataError, match="no row of positive weight"):
        measure_gain(summed(world.champion, world.rows[:, :0]), world.champion)


@pytest.mark.filterwarnings("error")
def test_where_every_weight_is_at_its_floor_the_weights_are_the_old_ones() -> None:
    """One row, whose shares fall under their old values one after the other, in some draws the last by rounding."""
    random = np.random.default_rng(0)
    for _ in range(300):
        before, counts = random.dirichlet(np.ones(3)), random.dirichlet(np.full(3, 0.2))
        np.testing.assert_allclose(_floored_weights(counts, before), before)

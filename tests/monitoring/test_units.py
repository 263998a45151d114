"""A change of unit upstream is told from a change of the world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmmdask.errors import EmptyDataError
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import SPHERICAL, STRUCTURES, Structure
from gmmdask.monitoring import Champion, find_affine_change
from gmmdask.monitoring.units import moved_all_rows
from tests.mixture.worlds import random_mixture
from tests.monitoring.worlds import drawn, summed

WITH_VARIANCES = [structure for structure in STRUCTURES if structure != SPHERICAL]


def lake(structure: Structure, *, local: bool = False) -> tuple[Champion, np.ndarray]:
    random = np.random.default_rng(8)
    parameters = random_mixture(random, structure, 4, 3)
    if local:  # far from the centre of the sums: they are taken about the means instead
        parameters = replace(parameters, means=parameters.means + 1e6)
    champion = Champion(parameters=parameters, reference=Reference(centre=np.full(3, 0.5), scale=np.ones(3)))
    return champion, drawn(parameters, 20_000, random)


@pytest.mark.parametrize("feature", [0, 1, 2])
@pytest.mark.parametrize("structure", WITH_VARIANCES, ids=lambda structure: structure.name)
def test_feet_for_metres_are_named_with_their_factor(structure: Structure, feature: int) -> None:
    champion, rows = lake(structure)
    rows[feature] = (rows[feature] + 10) * 0.3048 - 10  # the feature's raw zero lies ten prepared units away
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert (change.feature, change.share > 0.95) == (feature, True)
    assert change.scale == pytest.approx(0.3048, rel=0.03)
    assert change.offset == pytest.approx(3.048 - 10, rel=0.01)


def test_sums_about_the_components_means_tell_the_same() -> None:
    champion, rows = lake(STRUCTURES[3], local=True)
    assert champion.stack.layout.local == (0,)
    rows[1] = rows[1].mean() + 3 * (rows[1] - rows[1].mean())
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert (change.feature, round(change.scale, 1), change.share > 0.95) == (1, 3.0, True)


def test_spherical_sums_tell_a_shift_and_no_factor() -> None:
    champion, rows = lake(SPHERICAL)
    rows[2] += 3.0
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert (change.feature, change.scale) == (2, 1.0)
    assert change.offset == pytest.approx(3.0, abs=0.1)
    assert change.share > 0.95


def test_two_features_that_change_are_not_one_change_of_unit() -> None:
    champion, rows = lake(STRUCTURES[3])
    rows[:2] *= 2
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert change.share < 0.9


def test_the_divergence_is_that_of_the_rows_own_gaussian() -> None:
    """To rounding; against the textbook formula on the rows."""
    champion, rows = lake(STRUCTURES[3])
    rows[0] = 2 * rows[0] + 1
    parameters = champion.parameters
    mean0 = parameters.weights @ parameters.means
    steps = parameters.means - mean0
    cov0 = sum(w * (m + np.outer(s, s)) for w, m, s in zip(parameters.weights, parameters.matrices, steps, strict=True))
    mean, cov = rows.mean(axis=1), np.cov(rows, bias=True)
    inverse = np.linalg.inv(cov0)
    log_ratio = np.log(np.linalg.det(cov0) / np.linalg.det(cov))
    expected = 0.5 * (np.trace(inverse @ cov) - 3 + (mean - mean0) @ inverse @ (mean - mean0) + log_ratio)
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert change.divergence == pytest.approx(expected, rel=1e-4)


def test_a_feature_that_stands_still_does_not_raise() -> None:
    champion, rows = lake(STRUCTURES[3])
    rows[1] = 5.0
    change = find_affine_change(summed(champion, rows), champion)
    assert change is not None
    assert change.feature == 1


def test_no_rows_have_no_unit() -> None:
    champion, rows = lake(STRUCTURES[3])
    with pytest.raises(EmptyDataError):
        find_affine_change(summed(champion, rows[:, :0]), champion)


def counted(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(edges.searchsorted(values), minlength=len(edges) + 1)


@pytest.mark.parametrize(("zero", "scale"), [(10.0, 0.3048), (0.0, 0.3048), (0.0, 3.28), (0.0, 1.3)])
def test_counts_agree_to_a_change_of_unit_of_all_rows(zero: float, scale: float) -> None:
    champion, rows = lake(STRUCTURES[3])
    training = drawn(champion.parameters, 20_000, np.random.default_rng(1))[1]
    rows[1] = (rows[1] + zero) * scale - zero
    change = find_affine_change(summed(champion, rows), champion)
    edges = np.concatenate([[-64, -16, -8], np.quantile(training, np.arange(1, 100) / 100), [8, 16, 64]])
    assert change is not None
    assert moved_all_rows(change, edges, counted(edges, training), counted(edges, rows[1]))


@pytest.mark.parametrize("share", [0.02, 0.15, 0.4])
def test_counts_do_not_take_some_rows_far_out_for_another_unit(share: float) -> None:
    """Though mean and covariance do."""
    champion, rows = lake(STRUCTURES[3])
    training = drawn(champion.parameters, 20_000, np.random.default_rng(1))[1]
    rows[1, : int(share * rows.shape[1])] += 60.0
    change = find_affine_change(summed(champion, rows), champion)
    edges = np.concatenate([[-64, -16, -8], np.quantile(training, np.arange(1, 100) / 100), [8, 16, 64]])
    assert change is not None
    assert change.share > 0.9
    assert not moved_all_rows(change, edges, counted(edges, training), counted(edges, rows[1]))

"""What must not change a fit: where the zero lies, units, order, type; and data that are awkward to fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask import GaussianMixture
from tests.estimator.examples import STRUCTURES, blobs

SEEDS = st.integers(0, 2**16)


def model(structure: str = "full", k: int = 3, **parameters: object) -> GaussianMixture:
    settled = {"random_state": 0, "tol": 1e-5, "max_iter": 500, **parameters}
    return GaussianMixture(k, covariance_type=structure, **settled)  # type: ignore[arg-type]


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_moving_the_zero_changes_neither_labels_nor_likelihood(structure: str, offset: float) -> None:
    rows = blobs(1)
    near, far = model(structure).fit(rows), model(structure).fit(rows + offset)
    np.testing.assert_array_equal(far.predict(rows + offset), near.predict(rows))
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, abs=1e-6)
    assert far.score(rows + offset) == pytest.approx(near.score(rows), abs=1e-6)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-5, atol=1e-5)


@settings(max_examples=10)
@given(
    seed=SEEDS, powers=st.lists(st.integers(-6, 6), min_size=3, max_size=3), structure=st.sampled_from(["full", "diag"])
)
def test_changing_the_units_of_features_changes_only_the_units_of_the_result(
    seed: int, powers: list[int], structure: str
) -> None:
    """The start is given, since k-means has units of its own; no regularisation, since it has units too."""
    rows, units = blobs(seed), 10.0 ** np.array(powers)
    means = rows[:3]
    flat = {"weights_init": np.ones(3) / 3, "reg_covar": 0.0, "max_iter": 5, "tol": 0.0}
    precisions = np.tile(1.0 / rows.var(axis=0), (3, 1))
    scaled = precisions / units**2
    if structure == "full":
        precisions, scaled = (np.array([np.diag(row) for row in p]) for p in (precisions, scaled))
    with pytest.warns(match="did not converge"):
        before = model(structure, means_init=means, precisions_init=precisions, **flat).fit(rows)
    with pytest.warns(match="did not converge"):
        after = model(structure, means_init=means * units, precisions_init=scaled, **flat).fit(rows * units)
    np.testing.assert_allclose(
        after.means_, before.means_ * units, rtol=1e-6, atol=1e-8 * units.max() * np.abs(rows).max()
    )
    assert after.lower_bound_ + np.log(units).sum() == pytest.approx(before.lower_bound_, abs=1e-7)
    np.testing.assert_array_equal(after.predict(rows * units), before.predict(rows))


@settings(max_examples=10)
@given(seed=SEEDS, structure=st.sampled_from(STRUCTURES))
def test_the_order_of_rows_does_not_matter_to_the_path_of_a_given_start(seed: int, structure: str) -> None:
    rows = blobs(seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    given_start = {"means_init": rows[:3], "weights_init": np.ones(3) / 3, "precisions_init": ones(structure)}
    first = model(structure, **given_start).fit(rows)
    second = model(structure, **given_start).fit(rows[order])
    assert second.n_iter_ == first.n_iter_
    np.testing.assert_allclose(second.means_, first.means_, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(second.predict(rows), first.predict(rows))


@settings(max_examples=10)
@given(seed=SEEDS, structure=st.sampled_from(STRUCTURES))
def test_permuting_the_components_of_the_start_permutes_the_result(seed: int, structure: str) -> None:
    rows, order = blobs(seed), [2, 0, 1]
    shared = {"weights_init": np.ones(3) / 3, "precisions_init": ones(structure)}
    first = model(structure, means_init=rows[:3], **shared).fit(rows)
    second = model(structure, means_init=rows[:3][order], **shared).fit(rows)
    np.testing.assert_allclose(second.means_, first.means_[order], rtol=1e-7, atol=1e-9)
    assert second.lower_bound_ == pytest.approx(first.lower_bound_, abs=1e-10)


def ones(structure: str) -> np.ndarray:
    shapes = {
        "full": np.tile(np.eye(3), (3, 1, 1)),
        "tied": np.eye(3),
        "diag": np.ones((3, 3)),
        "spherical": np.ones(3),
    }
    return shapes[structure]


def test_variances_in_single_precision_are_never_negative() -> None:
    rows = np.array([[9999.0], [0.0]], dtype=np.float32)
    fitted = GaussianMixture(2, covariance_type="spherical", reg_covar=0.1, random_state=0).fit(rows)
    np.testing.assert_allclose(fitted.covariances_, 0.1)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_single_precision_data_are_fitted_as_the_double_precision_numbers_they_are(structure: str) -> None:
    rows = (blobs(8) + 1e4).astype(np.float32)
    start = {"means_init": rows[:3], "weights_init": np.ones(3) / 3, "precisions_init": ones(structure)}
    single, double = model(structure, **start).fit(rows), model(structure, **start).fit(rows.astype(np.float64))
    assert single.means_.dtype == np.float64
    np.testing.assert_array_equal(single.means_, double.means_)


@pytest.mark.parametrize("features", [30, 50, 100, 200])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_separated_groups_stay_separated_in_many_dimensions(structure: str, features: int) -> None:
    random = np.random.default_rng(features)
    centres = random.normal(size=(3, features)) * 3
    truth = np.repeat(np.arange(3), 400)
    rows = centres[truth] + random.normal(size=(1200, features))
    fitted = model(structure).fit(rows)
    assert fitted.predict_proba(rows).max(axis=1).min() > 0.999
    pairs = {(int(a), int(b)) for a, b in zip(truth, fitted.predict(rows), strict=True)}
    assert len(pairs) == 3
    assert np.isfinite(fitted.score_samples(rows)).all()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
def test_duplicates_constants_one_hot_pairs_and_zeros_are_fitted_with_finite_numbers(structure: str) -> None:
    random = np.random.default_rng(0)
    flag = (random.random(300) < 0.5).astype(float)
    mostly_zero = np.where(random.random(300) < 0.6, 0.0, random.normal(size=300))
    rows = np.column_stack([np.full(300, 7.0), flag, 1 - flag, mostly_zero, np.repeat(random.normal(size=100), 3)])
    fitted = model(structure, k=4).fit(np.repeat(rows, 2, axis=0))
    assert np.isfinite(fitted.lower_bound_)
    assert np.isfinite(fitted.covariances_).all()
    np.testing.assert_allclose(fitted.means_[:, 0], 7.0)
    assert np.isfinite(fitted.predict_proba(rows)).all()


def test_a_far_outlier_does_not_cost_the_other_rows_their_digits() -> None:
    rows = blobs(4)
    fitted = model().fit(rows)
    alone = fitted.score_samples(rows)
    together = fitted.score_samples(np.concatenate([rows, [[1e12, -1e12, 1e12]]]))[:-1]
    np.testing.assert_allclose(together, alone, rtol=1e-9)

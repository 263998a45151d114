"""Row weights: repetition, importance, absence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from gmmdask import GaussianMixture
from tests.estimator.examples import METHODS, STRUCTURES, Rows, blobs

SEEDS = st.integers(0, 2**16)


def started(rows: Rows, structure: str, **parameters: object) -> GaussianMixture:
    """Return a mixture whose start is given, so that nothing random differs between two fits."""
    precisions = {
        "full": np.tile(np.eye(3), (3, 1, 1)),
        "tied": np.eye(3),
        "diag": np.ones((3, 3)),
        "spherical": np.ones(3),
    }
    start = {"weights_init": np.ones(3) / 3, "means_init": rows[:3], "precisions_init": precisions[structure]}
    return GaussianMixture(3, covariance_type=structure, reg_covar=1e-3, max_iter=500, **start, **parameters)  # type: ignore[arg-type]


def whole_weights(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, size=n).astype(np.float64)


@settings(max_examples=15)
@given(seed=SEEDS, structure=st.sampled_from(STRUCTURES))
def test_whole_frequencies_equal_repeated_rows_in_fit_and_criteria(seed: int, structure: str) -> None:
    rows = blobs(seed)
    weights = whole_weights(seed, len(rows))
    repeated = np.repeat(rows, weights.astype(int), axis=0)
    weighted = started(rows, structure).fit(rows, sample_weight=weights)
    plain = started(rows, structure).fit(repeated)
    assert weighted.n_iter_ == plain.n_iter_
    assert weighted.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-10)
    np.testing.assert_allclose(weighted.means_, plain.means_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(weighted.covariances_, plain.covariances_, rtol=1e-6, atol=1e-9)
    for criterion in ("aic", "bic", "icl"):
        with_weights = getattr(weighted, criterion)(rows, sample_weight=weights)
        assert with_weights == pytest.approx(getattr(plain, criterion)(repeated), rel=1e-9)
    assert weighted.score(rows, sample_weight=weights) == pytest.approx(plain.score(repeated), abs=1e-10)


@settings(max_examples=15)
@given(seed=SEEDS, structure=st.sampled_from(STRUCTURES), factor=st.sampled_from([1e-6, 0.25, 1e3, 1e9]))
def test_importance_weights_are_known_up_to_a_factor_only(seed: int, structure: str, factor: float) -> None:
    rows = blobs(seed)
    weights = np.random.default_rng(seed).uniform(0.1, 3.0, size=len(rows))
    first = started(rows, structure, weight_type="importance").fit(rows, sample_weight=weights)
    second = started(rows, structure, weight_type="importance").fit(rows, sample_weight=weights * factor)
    np.testing.assert_allclose(second.means_, first.means_, rtol=1e-6, atol=1e-8)
    for criterion in ("aic", "bic", "icl", "score"):
        before = getattr(first, criterion)(rows, sample_weight=weights)
        assert getattr(second, criterion)(rows, sample_weight=weights * factor) == pytest.approx(before, rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_row_of_weight_zero_is_absent_to_the_bit(structure: str, method: str) -> None:
    rows = blobs(3)
    weights = whole_weights(3, len(rows))
    present = weights > 0
    model = GaussianMixture(3, covariance_type=structure, init_params=method, random_state=0, max_iter=300)  # type: ignore[arg-type]
    all_rows = model.fit(rows, sample_weight=weights).means_
    without = model.fit(rows[present], sample_weight=weights[present]).means_
    assert all_rows.tobytes() == without.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_weights_of_one_are_no_weights(structure: str, method: str) -> None:
    """To rounding where scikit-learn draws alike with and without weights; drawing rows from the data does not."""
    rows = blobs(7)
    model = GaussianMixture(3, covariance_type=structure, init_params=method, random_state=0, max_iter=300)  # type: ignore[arg-type]
    plain = model.fit(rows)
    bound, criteria = plain.lower_bound_, [plain.aic(rows), plain.bic(rows), plain.icl(rows)]
    weighted = model.fit(rows, sample_weight=np.ones(len(rows)))
    if method != "random_from_data":
        assert weighted.lower_bound_ == pytest.approx(bound, abs=1e-10)
        assert [f(rows, np.ones(len(rows))) for f in (weighted.aic, weighted.bic, weighted.icl)] == pytest.approx(
            criteria
        )
    assert np.isfinite(weighted.lower_bound_)


def test_icl_is_bic_plus_twice_the_entropy_of_the_assignments() -> None:
    rows = blobs(2, spread=0.5)
    model = GaussianMixture(3, random_state=0, max_iter=300).fit(rows)
    r = model.predict_proba(rows)
    entropy = -float(np.sum(r * np.log(np.maximum(r, 1e-300))))
    assert entropy > 1.0
    assert model.icl(rows) == pytest.approx(model.bic(rows) + 2 * entropy, rel=1e-9)


def test_weighted_score_and_importance_criteria_follow_their_definitions() -> None:
    rows = blobs(9)
    weights = np.random.default_rng(0).uniform(0.1, 3.0, size=len(rows))
    model = GaussianMixture(2, random_state=0, weight_type="importance").fit(rows, sample_weight=weights)
    density = sum(
        w * multivariate_normal(m, c).pdf(rows)
        for w, m, c in zip(model.weights_, model.means_, model.covariances_, strict=True)
    )
    mean = float(weights @ np.log(density) / weights.sum())
    n_rows = float(weights.sum() ** 2 / (weights @ weights))
    assert model.score(rows, sample_weight=weights) == pytest.approx(mean, abs=1e-10)
    assert model.aic(rows, weights) == pytest.approx(-2 * n_rows * mean + 2 * 19, rel=1e-10)
    assert model.bic(rows, weights) == pytest.approx(-2 * n_rows * mean + 19 * np.log(n_rows), rel=1e-10)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[-1.0, np.ones(179)], "Negative values"),
        (np.r_[np.nan, np.ones(179)], "NaN"),
        (np.r_[np.inf, np.ones(179)], "infinity"),
        (np.ones(3), "sample_weight.shape"),
        (np.zeros(180), "zero"),
        (np.r_[np.ones(2), np.zeros(178)], "n_samples >= n_components"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture(3).fit(blobs(0), sample_weight=weights)

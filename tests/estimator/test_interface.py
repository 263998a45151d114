"""Behaves as one of scikit-learn's: pipelines, searches, clones, pickles, names, warm starts, errors."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gmmdask import GaussianMixture
from gmmdask.errors import DegenerateMixtureError
from tests.estimator.examples import STRUCTURES, blobs


class Client:
    """Stands for a connection: cannot be copied or pickled."""

    def __deepcopy__(self, memo: object) -> None:
        raise AssertionError("a client was copied")

    def __reduce__(self) -> str:
        raise AssertionError("a client was pickled")


def test_a_clone_has_equal_settings_the_same_client_and_no_fit() -> None:
    client = Client()
    model = GaussianMixture(2, means_init=blobs(0)[:2], random_state=1, client=client).fit(blobs(0))
    copied = clone(model)
    assert copied.client is client
    assert copied.means_init is not model.means_init
    np.testing.assert_array_equal(copied.means_init, model.means_init)
    assert not hasattr(copied, "means_")
    assert clone(make_pipeline(StandardScaler(), model))[-1].client is client


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_pickled_model_predicts_the_same_bits_and_left_its_client_behind(structure: str, tmp_path: Path) -> None:
    rows = blobs(1)
    model = GaussianMixture(3, covariance_type=structure, random_state=0, client=Client()).fit(rows)  # type: ignore[arg-type]
    joblib.dump(model, tmp_path / "model")
    for again in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model"), copy.deepcopy(model)):
        assert again.client is None
        assert again.predict_proba(rows).tobytes() == model.predict_proba(rows).tobytes()
        assert again.score(rows) == model.score(rows)


def test_grid_searches_and_cross_validation_choose_among_mixtures() -> None:
    rows = blobs(5, spread=8.0)
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 2, 3]}, cv=3).fit(rows)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}
    assert len(cross_val_score(GaussianMixture(2, random_state=0), rows, cv=4)) == 4


def test_names_of_columns_are_kept_and_checked() -> None:
    frame = pd.DataFrame(blobs(2), columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert (
        model.predict(frame).tolist()
        == GaussianMixture(2, random_state=0).fit(frame.to_numpy()).predict(frame.to_numpy()).tolist()
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["c", "b", "a"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(frame.to_numpy())


def test_large_arrays_are_scored_by_blocks_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = blobs(6)
    model = GaussianMixture(3, random_state=0).fit(rows)
    whole = [model.predict(rows), model.predict_proba(rows), model.score_samples(rows)]
    monkeypatch.setattr("gmmdask._inputs.BLOCK_ROWS", 7)
    for before, after in zip(
        whole, [model.predict(rows), model.predict_proba(rows), model.score_samples(rows)], strict=True
    ):
        assert before.shape == after.shape
        assert before.dtype == after.dtype
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_warm_start_on_the_same_data_stays_where_it_is(structure: str) -> None:
    rows = blobs(1)
    model = GaussianMixture(3, covariance_type=structure, warm_start=True, random_state=0, tol=1e-8, max_iter=2000).fit(
        rows
    )  # type: ignore[arg-type]
    before = model.means_
    model.fit(rows)
    assert model.n_iter_ <= 2
    assert model.converged_
    assert len(model.lower_bounds_) == model.n_iter_
    np.testing.assert_allclose(model.means_, before, atol=1e-3)


def test_a_warm_start_on_new_data_does_not_stop_on_the_likelihood_of_the_old() -> None:
    """New data whose likelihood at the start is, to rounding, the bound that the old data left behind."""
    rows = blobs(1, groups=1, features=2)
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(1, warm_start=True, max_iter=1, tol=1e-3).fit(rows)
    model.set_params(max_iter=50).fit(rows)
    radius = np.sqrt(
        max(0.0, -2 * (model.lower_bound_ + np.log(2 * np.pi)) - np.linalg.slogdet(model.covariances_[0])[1])
    )
    direction = np.linalg.cholesky(model.covariances_[0]) @ np.array([radius, 0.0])
    ring = model.means_[0] + direction + np.random.default_rng(0).normal(size=(40, 2)) * 1e-6
    assert model.score(ring) == pytest.approx(model.lower_bound_, abs=1e-4)
    model.fit(ring)
    assert model.n_iter_ > 1
    np.testing.assert_allclose(model.means_[0], ring.mean(axis=0), rtol=1e-6)


def test_a_warm_start_with_another_shape_is_refused() -> None:
    model = GaussianMixture(2, warm_start=True, random_state=0).fit(blobs(1))
    with pytest.raises(ValueError, match="warm_start=False"):
        model.set_params(n_components=3).fit(blobs(1))


def test_a_cold_refit_forgets_the_last_fit() -> None:
    model = GaussianMixture(3, random_state=0).fit(blobs(2))
    expected = GaussianMixture(3, random_state=0).fit(blobs(3)).means_
    np.testing.assert_array_equal(model.fit(blobs(3)).means_, expected)


def test_no_iteration_at_all_returns_the_start() -> None:
    model = GaussianMixture(2, max_iter=0, means_init=[[1, 2, 3], [4, 5, 6]], random_state=0).fit(blobs(0))
    np.testing.assert_array_equal(model.means_, [[1, 2, 3], [4, 5, 6]])
    assert (model.n_iter_, model.lower_bound_, model.lower_bounds_, model.converged_) == (0, -np.inf, [], False)


def test_progress_is_printed_as_often_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    model = GaussianMixture(3, random_state=0, verbose=2, verbose_interval=2, tol=1e-6, max_iter=300).fit(blobs(1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Initialization 0"
    assert sum("Iteration" in line and "ll change" in line for line in lines) == model.n_iter_ // 2
    assert lines[-1].startswith("Initialization converged.")
    GaussianMixture(3, random_state=0, n_init=2, verbose=1).fit(blobs(1))
    assert sum(line.startswith("Initialization") for line in capsys.readouterr().out.splitlines()) == 4
    GaussianMixture(3, random_state=0).fit(blobs(1))
    assert capsys.readouterr().out == ""


def test_samples_have_the_moments_of_the_mixture() -> None:
    model = GaussianMixture(3, random_state=0).fit(blobs(1))
    rows, labels = model.sample(50_000)
    shares = np.bincount(labels, minlength=3) / len(labels)
    np.testing.assert_allclose(shares, model.weights_, atol=0.01)
    for k in range(3):
        error = np.sqrt(np.diagonal(model.covariances_[k]) / (labels == k).sum())
        assert (np.abs(rows[labels == k].mean(axis=0) - model.means_[k]) < 5 * error).all()
        np.testing.assert_allclose(np.cov(rows[labels == k].T), model.covariances_[k], rtol=0.1, atol=0.05)


def test_a_fit_does_not_touch_its_input_or_its_parameters() -> None:
    rows, weights, means = blobs(0), np.ones(180), blobs(0)[:3]
    before = rows.tobytes() + weights.tobytes() + means.tobytes()
    model = GaussianMixture(3, means_init=means, random_state=0).fit(rows, sample_weight=weights)
    assert rows.tobytes() + weights.tobytes() + means.tobytes() == before
    assert model.means_init is means
    model.means_ += 1.0  # the attributes are the user's to change


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "banded"}, "covariance_type"),
        ({"init_params": "guess"}, "init_params"),
        ({"tol": -1.0}, "tol"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"n_init": 0}, "n_init"),
        ({"missing": "impute"}, "missing.*'error'"),
        ({"weight_type": "other"}, "weight_type"),
        ({"n_components": 200}, "n_samples >= n_components"),
        ({"n_components": 2, "weights_init": [0.5, 0.6]}, "should be normalized"),
        ({"n_components": 2, "means_init": [[0, 0, 0]]}, "shape"),
        ({"n_components": 2, "means_init": np.full((2, 3), np.nan)}, "not finite"),
        ({"covariance_type": "tied", "precisions_init": -np.eye(3)}, "positive-definite"),
        ({"covariance_type": "diag", "precisions_init": [[1, 0, 1]]}, "should be positive"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**parameters).fit(blobs(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_everywhere(value: float) -> None:
    rows = blobs(0)
    model = GaussianMixture(2, random_state=0).fit(rows)
    broken = rows.copy()
    broken[5, 1] = value
    for method in (
        GaussianMixture(2).fit,
        model.predict,
        model.predict_proba,
        model.score_samples,
        model.score,
        model.bic,
    ):
        with pytest.raises(ValueError, match="Input X contains"):
            method(broken)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_whose_squares_overflow_are_refused_by_name() -> None:
    rows = blobs(0)
    rows[0, 1] = 1e300
    with pytest.raises(ValueError, match=r"Feature 'x1' runs from .* to 1e\+300"):
        GaussianMixture(2, random_state=0).fit(rows)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_huge_value_that_can_be_squared_is_fitted_with_finite_numbers(structure: str) -> None:
    rows = blobs(0)
    rows[0, 1] = 1e150
    fitted = GaussianMixture(2, covariance_type=structure, random_state=0, max_iter=300).fit(rows)  # type: ignore[arg-type]
    assert np.isfinite(fitted.score_samples(rows)).all()
    assert fitted.predict(rows)[0] not in fitted.predict(rows)[1:]


def test_a_collapsed_component_is_an_error_that_says_what_to_do() -> None:
    rows = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0)
    with pytest.raises(DegenerateMixtureError, match="increase reg_covar"):
        GaussianMixture(2, reg_covar=0.0, random_state=0).fit(rows)


def test_an_unfitted_model_says_so() -> None:
    for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl"):
        with pytest.raises(NotFittedError):
            getattr(GaussianMixture(), method)(blobs(0))
    with pytest.raises(NotFittedError):
        GaussianMixture().sample()


def test_fitting_an_array_loads_no_dask() -> None:
    code = (
        "import sys, numpy as np; from gmmdask import GaussianMixture;"
        "model = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 2)));"
        "model.predict(np.zeros((2, 2))); model.bic(np.zeros((2, 2)));"
        "print({'dask', 'distributed', 'prefect', 'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"

"""Fitted mixtures survive storage to the bit."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from gmmdask import GaussianMixture, load_model, save_model
from gmmdask.errors import InvalidInputError
from gmmdask.registry import Bundle, save_bundle

STRUCTURES = ("full", "tied", "diag", "spherical")


@pytest.fixture
def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    blobs = [random.normal(loc=at, size=(60, 3)) for at in (0.0, 4.0, 9.0)]
    return pd.DataFrame(np.concatenate(blobs), columns=["a", "b", "c"])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_loaded_model_is_the_saved_one_to_the_bit(rows: pd.DataFrame, structure: str, tmp_path: Path) -> None:
    model = GaussianMixture(3, covariance_type=structure, random_state=5, means_init=np.eye(3)).fit(rows)
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(loaded, name).tobytes() == getattr(model, name).tobytes()
    for name in ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert list(loaded.feature_names_in_) == list(rows.columns)
    assert loaded.predict_proba(rows).tobytes() == model.predict_proba(rows).tobytes()
    assert loaded.bic(rows) == model.bic(rows)
    assert loaded.sample(5)[0].tobytes() == model.sample(5)[0].tobytes()


def test_settings_come_back_and_a_refit_goes_the_same_way(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = GaussianMixture(2, covariance_type="diag", tol=1e-6, n_init=2, random_state=np.int64(7), max_iter=300)
    save_model(model.fit(rows), str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    assert loaded.get_params() == model.get_params()
    assert loaded.fit(rows).means_.tobytes() == model.means_.tobytes()


def test_a_model_without_a_single_iteration_survives(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = GaussianMixture(2, max_iter=0, random_state=0).fit(rows)
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    assert (loaded.lower_bound_, loaded.lower_bounds_, loaded.converged_) == (-np.inf, [], False)


def test_a_generator_as_random_state_is_left_behind(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = GaussianMixture(2, random_state=np.random.RandomState(0)).fit(rows)
    save_model(model, str(tmp_path / "model"))
    assert load_model(str(tmp_path / "model")).random_state is None


def test_another_fit_does_not_replace_a_saved_model(rows: pd.DataFrame, tmp_path: Path) -> None:
    save_model(GaussianMixture(1).fit(rows), str(tmp_path / "model"))
    with pytest.raises(InvalidInputError, match="already holds another"):
        save_model(GaussianMixture(1).fit(rows + 1.0), str(tmp_path / "model"))


def test_an_unfitted_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        save_model(GaussianMixture(), str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_a_bundle_of_another_kind_is_not_a_model(tmp_path: Path) -> None:
    save_bundle(Bundle(kind="recipe", parts={}), str(tmp_path / "model"))
    with pytest.raises(InvalidInputError, match="holds a 'recipe'"):
        load_model(str(tmp_path / "model"))


def test_an_unconverged_model_stays_unconverged_and_pickles(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(3, max_iter=1, random_state=0).fit(rows)
    save_model(model, str(tmp_path / "model"))
    loaded = pickle.loads(pickle.dumps(load_model(str(tmp_path / "model"))))
    assert loaded.converged_ is False
    assert loaded.score(rows) == model.score(rows)

"""Dask collections and lakes: the array's fit to rounding, the same bytes wherever they are computed, lazy results."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask import GaussianMixture, open_lake
from tests.estimator.examples import METHODS, STRUCTURES, Rows, blobs

FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of two single-threaded workers in this process, not the current one of any test."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as connected,
    ):
        yield connected


def bits(model: GaussianMixture) -> bytes:
    return b"".join(getattr(model, name).tobytes() for name in FITTED) + np.array(model.lower_bounds_).tobytes()


def model(structure: str = "full", method: str = "kmeans", **parameters: object) -> GaussianMixture:
    chosen = {"init_params": method, "random_state": 0, "max_iter": 500, **parameters}
    return GaussianMixture(3, covariance_type=structure, **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_dask_array_is_fitted_as_the_array_that_it_stands_for(structure: str, method: str) -> None:
    rows = blobs(1)
    weights = np.random.default_rng(0).integers(1, 4, size=len(rows)).astype(float)
    whole = model(structure, method).fit(rows, sample_weight=weights)
    parts = model(structure, method).fit(da.from_array(rows, chunks=(50, 2)), sample_weight=weights)
    assert parts.n_iter_ == whole.n_iter_
    for name in FITTED:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-7, atol=1e-9)


@settings(max_examples=15)
@given(data=st.data())
def test_however_the_rows_are_cut_the_fit_is_the_same_to_rounding(data: st.DataObject) -> None:
    rows = blobs(4)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    chunks = tuple(np.diff([0, *cuts, len(rows)]).tolist())
    cut = model().fit(da.from_array(rows, chunks=(chunks, 3)))
    np.testing.assert_allclose(cut.means_, model().fit(rows).means_, rtol=1e-9, atol=1e-9)


def test_a_frame_keeps_its_names_and_gives_lazy_results_on_its_own_index() -> None:
    frame = pd.DataFrame(blobs(2), columns=["a", "b", "c"], index=np.arange(180) + 1000)
    lazy = dd.from_pandas(frame, npartitions=3)
    fitted = model().fit(lazy)
    assert list(fitted.feature_names_in_) == ["a", "b", "c"]
    labels, shares, densities = fitted.predict(lazy), fitted.predict_proba(lazy), fitted.score_samples(lazy)
    assert all(hasattr(result, "__dask_graph__") for result in (labels, shares, densities))
    pd.testing.assert_series_equal(labels.compute(), pd.Series(fitted.predict(frame), index=frame.index))
    expected = pd.DataFrame(fitted.predict_proba(frame), index=frame.index)
    pd.testing.assert_frame_equal(shares.compute(), expected, atol=1e-10)
    pd.testing.assert_series_equal(
        densities.compute(), pd.Series(fitted.score_samples(frame), index=frame.index), rtol=1e-9
    )
    assert lazy.assign(segment=labels).compute()["segment"].tolist() == fitted.predict(frame).tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(lazy[["c", "b", "a"]])


def test_results_on_a_dask_array_are_lazy_and_have_its_chunks() -> None:
    rows = blobs(3)
    lazy = da.from_array(rows, chunks=(70, 1))
    fitted = model().fit(rows)
    labels, shares, densities = fitted.predict(lazy), fitted.predict_proba(lazy), fitted.score_samples(lazy)
    assert labels.chunks == densities.chunks == (lazy.chunks[0],)
    assert shares.chunks == (lazy.chunks[0], (3,))
    assert (labels.dtype, shares.dtype, densities.dtype) == (np.int64, np.float64, np.float64)
    np.testing.assert_array_equal(labels.compute(), fitted.predict(rows))
    np.testing.assert_allclose(shares.compute(), fitted.predict_proba(rows), atol=1e-10)
    np.testing.assert_allclose(densities.compute(), fitted.score_samples(rows), rtol=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_cluster_gives_the_bytes_that_this_process_gives(structure: str, client: Client) -> None:
    lazy = dd.from_pandas(pd.DataFrame(blobs(5), columns=["a", "b", "c"]), npartitions=4)
    here = model(structure).fit(lazy)
    there = model(structure, client=client).fit(lazy)
    assert bits(there) == bits(here)
    assert there.bic(lazy) == here.bic(lazy)
    assert pickle.loads(pickle.dumps(there)).client is None


def test_the_current_client_is_used_where_none_is_given(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = da.from_array(blobs(5), chunks=(60, 3))
    monkeypatch.setattr("gmmdask._inputs.LocalEngine", None)  # any use of this process would fail
    with client.as_current():
        fitted = model().fit(lazy)
    monkeypatch.undo()
    assert bits(fitted) == bits(model().fit(lazy))


@pytest.fixture
def lake_rows(tmp_path: Path) -> tuple[str, Rows, Rows]:
    rows, weights = blobs(6), np.random.default_rng(1).integers(0, 3, size=180).astype(float)
    for day, part in enumerate(np.array_split(np.arange(180), 4)):
        folder = tmp_path / f"dt=2024-01-0{day + 1}"
        folder.mkdir()
        frame = pd.DataFrame(rows[part], columns=["a", "b", "c"]).assign(w=weights[part])
        frame.to_parquet(folder / "part-0.parquet", index=False)
    return str(tmp_path), rows, weights


def test_a_lake_is_fitted_with_its_weight_column_and_scored_row_by_row(
    lake_rows: tuple[str, Rows, Rows], client: Client
) -> None:
    uri, rows, weights = lake_rows
    lake = open_lake(uri, features=["a", "b", "c"], weight_column="w")
    fitted = model().fit(lake)
    whole = model().fit(rows, sample_weight=weights)
    np.testing.assert_allclose(fitted.means_, whole.means_, rtol=1e-7, atol=1e-9)
    assert list(fitted.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(fitted.predict(lake), whole.predict(rows))
    assert fitted.predict_proba(lake).shape == (180, 3)
    assert fitted.score(lake) == pytest.approx(whole.score(rows, sample_weight=weights), abs=1e-10)
    assert bits(model(client=client).fit(lake)) == bits(fitted)
    with pytest.raises(ValueError, match="weight_column"):
        model().fit(lake, sample_weight=weights)


def test_a_lake_with_a_missing_value_is_refused_when_rows_are_labelled(
    lake_rows: tuple[str, Rows, Rows],
) -> None:
    uri, _, _ = lake_rows
    fitted = model().fit(open_lake(uri, features=["a", "b", "c"]))
    pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0], "c": [1.0, 2.0], "w": [1.0, 1.0]}).to_parquet(
        f"{uri}/dt=2024-01-04/part-1.parquet", index=False
    )
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted.predict(open_lake(uri, features=["a", "b", "c"]))


def test_a_warm_start_knows_the_same_collection_again() -> None:
    lazy = da.from_array(blobs(1), chunks=(60, 3))
    fitted = model(warm_start=True, tol=1e-8, max_iter=2000).fit(lazy)
    assert fitted.fit(lazy).n_iter_ <= 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_wherever_they_are(value: float) -> None:
    rows = blobs(1)
    fitted = model().fit(rows)
    rows[100, 2] = value
    lazy = da.from_array(rows, chunks=(60, 3))
    with pytest.raises(ValueError, match=r"Input X contains.*x2"):
        model().fit(lazy)
    for use in (fitted.score, fitted.bic, lambda X: fitted.predict(X).compute()):
        with pytest.raises(ValueError, match="Input X contains"):
            use(lazy)


def test_a_collection_of_another_width_or_with_too_few_rows_is_refused() -> None:
    fitted = model().fit(blobs(1))
    with pytest.raises(ValueError, match="expecting 3 features"):
        fitted.predict(da.zeros((10, 2)))
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        model().fit(da.zeros((2, 3)))


def test_a_column_of_text_is_refused_by_name() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": ["x", "y", "x", "y"]})
    with pytest.raises(ValueError, match="'b'"):
        model().fit(dd.from_pandas(frame, npartitions=2))

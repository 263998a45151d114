"""The engine that the settings name; and the night on a Dask cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gmmdask.engine import LocalEngine
from gmmdask.errors import ClusterError
from gmmdask.nightly import open_engine, run_night
from gmmdask.settings import Cluster, load_settings
from tests.nightly.lakes import write_settings, write_world
from tests.nightly.test_night import contents


def test_without_a_cluster_the_night_runs_in_this_process():
    with open_engine(Cluster()) as one, open_engine(Cluster(threads=3)) as three:
        assert isinstance(one, LocalEngine)
        assert isinstance(three, LocalEngine)
        assert (one.threads, three.threads) == (1, 3)


def test_an_address_where_nothing_listens_is_named():
    with (
        pytest.raises(ClusterError, match=r"127\.0\.0\.1:1"),
        open_engine(Cluster(address="tcp://127.0.0.1:1", timeout=0.5)),
    ):
        pass


def test_a_night_on_a_local_cluster_publishes_the_same_as_in_this_process(tmp_path: Path):
    """Rows of every table and view, model ids included: the same bits."""
    here = write_world(tmp_path / "here", days=2)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    write_settings(tmp_path / "there", {"[registry]": "[cluster]\nworkers = 2\n\n[registry]"})
    there = load_settings(tmp_path / "there" / "birds.toml")
    run_night(here)
    run_night(there)
    assert contents(there) == contents(here)


def test_a_night_on_a_cluster_by_address_publishes_the_same_as_in_this_process(tmp_path: Path):
    """Rows of every table and view, model ids included: the same bits."""
    from distributed import LocalCluster

    here = write_world(tmp_path / "here", days=2)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    run_night(here)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        address = f'[cluster]\naddress = "{cluster.scheduler_address}"\n\n[registry]'
        run_night(load_settings(write_settings(tmp_path / "there", {"[registry]": address})))
    assert contents(load_settings(write_settings(tmp_path / "there"))) == contents(here)

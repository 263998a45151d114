"""A whole night whose lake, staging and registry are in a bucket, and what of the credentials is seen afterwards: nothing."""

from __future__ import annotations

import logging
import pickle
from datetime import date
from pathlib import Path

import dask
import fsspec
import pytest
import s3fs
from distributed import Client, LocalCluster

from gmmdask import GaussianMixture, load_model, open_lake, save_model
from gmmdask.engine import LocalEngine
from gmmdask.engine.dask import DaskEngine
from gmmdask.lake.location import fingerprint_of
from gmmdask.nightly import plan_night, run_night, score_night, train_model
from gmmdask.nightly.plan import staging_of, warehouse_of
from gmmdask.settings import Settings, load_settings
from infra.object_store.upload import upload
from tests.nightly.lakes import ROWS, write_day, write_settings
from tests.services.conftest import new_bucket

TABLES = ("assignments", "segments", "segment_profiles", "grid", "runs", "lineage", "publications")
CLOCKS = {"published_at", "started_at", "finished_at", "step_seconds"}
PLACES = {"run_id", "run_key", "model_id", "champion_id", "fingerprint", "report_uri"}
"""What hashes the files' fingerprints, which are etags in a bucket and times on a disk."""


def settings_in(bucket: str, root: Path, days: int = 2) -> Settings:
    """Write a small lake, move it into a bucket, and return settings whose places are all there but for the warehouse."""
    for number in range(days):
        write_day(root, number)
    upload(root / "lake", f"s3://{bucket}/lake")
    (root / "house").mkdir()
    return load_settings(
        write_settings(
            root,
            {
                'uri = "lake"': f'uri = "s3://{bucket}/lake"',
                'uri = "registry"': f'uri = "s3://{bucket}/registry"',
                "publish_timeout = 0": f'publish_timeout = 0\nstaging = "s3://{bucket}/work"',
            },
        )
    )


@pytest.fixture(scope="module")
def night(reached, tmp_path_factory) -> tuple[Path, str, Settings]:
    """A published night in a bucket, with everything logged; tests only look at it."""
    bucket, root = new_bucket(), tmp_path_factory.mktemp("night")
    settings = settings_in(bucket, root)
    log = logging.FileHandler(root / "all.log")
    logging.getLogger().addHandler(log)
    levels = {name: logging.getLogger(name).level for name in (None, "s3fs", "fsspec", "gmmdask")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        run_night(settings)
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger().removeHandler(log)
        log.close()
    return root, bucket, settings


def readable(settings: Settings) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, but for the clock and what hashes fingerprints."""
    return {
        table: [
            {name: value for name, value in row.items() if name not in CLOCKS | PLACES and name != "settings"}
            for row in warehouse_of(settings).query(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()
        ]
        for table in TABLES
    }


def test_a_night_in_a_bucket_publishes_what_the_same_night_on_a_disk_does(night, tmp_path):
    """Bits: every number of every table."""
    for number in range(2):
        write_day(tmp_path, number)
    on_disk = load_settings(write_settings(tmp_path))
    run_night(on_disk)
    in_bucket, local = readable(night[2]), readable(on_disk)
    for table in ("assignments", "segments", "segment_profiles", "grid"):
        assert sorted(map(repr, in_bucket[table])) == sorted(map(repr, local[table]))
    assert len(in_bucket["assignments"]) == 2 * ROWS


def test_after_a_night_the_bucket_holds_the_lake_and_the_model_alone(night):
    _, bucket, settings = night
    found = [path.removeprefix(f"{bucket}/") for path in fresh().find(bucket)]
    model_id = warehouse_of(settings).query("SELECT champion_id FROM champion").to_pylist()[0]["champion_id"]
    assert [path for path in found if not path.startswith("lake/")] == [
        f"registry/birds/{model_id}/arrays.npz",
        f"registry/birds/{model_id}/bundle.json",
    ]


def test_run_again_the_night_is_published_already_and_the_next_starts_from_the_model_in_the_bucket(reached, tmp_path):
    bucket = new_bucket()
    settings = settings_in(bucket, tmp_path)
    run_night(settings)
    assert run_night(settings).plan.state == "published"
    write_day(tmp_path, 2)
    upload(tmp_path / "lake", f"s3://{bucket}/lake")
    following = run_night(settings)
    assert (following.plan.state, following.plan.action) == ("due", "keep")
    assert len(readable(settings)["assignments"]) == 3 * ROWS


def test_a_night_staged_in_a_bucket_is_published_by_the_next_call_without_computing(reached, tmp_path):
    settings = settings_in(new_bucket(), tmp_path)
    plan = plan_night(settings)
    score_night(plan, settings, train_model(plan, settings, LocalEngine()), LocalEngine())
    assert plan_night(settings).state == "staged"
    assert run_night(settings, engines=None).release is not None
    assert staging_of(settings).waiting() == []


def test_a_partitions_fingerprint_is_its_etag_and_follows_its_content(bucket, tmp_path):
    write_day(tmp_path, 0)
    upload(tmp_path / "lake", f"s3://{bucket}/lake")
    (file,) = open_lake(f"s3://{bucket}/lake").files
    assert file.fingerprint == fingerprint_of(fresh().info(f"{bucket}/lake/{file.path}"))
    assert len(file.fingerprint) == 32
    (tmp_path / "lake" / file.path).unlink()
    write_day(tmp_path, 0, name=Path(file.path).name, table=None)
    upload(tmp_path / "lake", f"s3://{bucket}/lake")
    assert open_lake(f"s3://{bucket}/lake").files == (file,)


def test_a_model_comes_back_from_a_bucket(bucket, tmp_path):
    write_day(tmp_path, 0)
    upload(tmp_path / "lake", f"s3://{bucket}/lake")
    X = [[0.0], [0.1], [5.0], [5.1]]
    model = GaussianMixture(2, random_state=0).fit(X)
    save_model(model, f"s3://{bucket}/models/one")
    loaded = load_model(f"s3://{bucket}/models/one")
    assert (loaded.predict_proba(X) == model.predict_proba(X)).all()


def test_workers_find_the_credentials_in_their_own_environment(reached, tmp_path):
    """Nothing that is sent to them holds the secret, and they read and write the bucket."""
    bucket = new_bucket()
    settings = settings_in(bucket, tmp_path)
    plan = plan_night(settings)
    training = train_model(plan, settings, LocalEngine())
    attempt = staging_of(settings).begin(plan.run_id)
    for sent in (plan.lake, attempt, settings):
        assert reached.secret.encode() not in pickle.dumps(sent)
        assert reached.secret not in repr(sent)
    with (
        # Not from a server that forks: it may be older than the variables.
        dask.config.set({"distributed.worker.multiprocessing-method": "spawn"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        score_night(plan, settings, training, DaskEngine(client))
        logs = str(client.get_worker_logs()) + str(client.get_scheduler_logs())
        keys = str(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)))
        story = str(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.transition_log)))
    assert reached.secret not in logs + keys + story
    assert plan_night(settings).state == "staged"


def test_the_secret_is_nowhere_that_a_night_writes(night, reached):
    """Log at its most talkative, warehouse, settings, bundle, and every other object in the bucket."""
    root, bucket, settings = night
    written = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    objects = {path: fresh().cat_file(path) for path in fresh().find(bucket)}
    assert any(path.name == "all.log" and content for path, content in written.items())
    assert any(path.name == "warehouse.duckdb" for path in written)
    rows = str([warehouse_of(settings).query(f"SELECT * FROM {table}").to_pylist() for table in TABLES])
    secret = reached.secret
    assert secret not in rows
    assert [path for path, content in (written | objects).items() if secret.encode() in content] == []


def test_the_secret_is_not_in_what_is_staged(reached, tmp_path):
    bucket = new_bucket()
    settings = settings_in(bucket, tmp_path, days=1)
    plan = plan_night(settings, date(2024, 1, 1))
    score_night(plan, settings, train_model(plan, settings, LocalEngine()), LocalEngine())
    staged = [path for path in fresh().find(f"{bucket}/work") if "/staging/" in path]
    assert any(path.endswith("manifest.json") for path in staged)
    assert [path for path in staged if reached.secret.encode() in fresh().cat_file(path)] == []


def fresh() -> s3fs.S3FileSystem:
    filesystem = fsspec.filesystem("s3")
    filesystem.invalidate_cache()
    return filesystem

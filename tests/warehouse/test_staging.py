"""Staging: an attempt counts only when its manifest and all its files are there, on any filesystem."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from typing import NoReturn

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError, StorageError, UnreadablePartitionError, WarehouseError
from gmmdask.warehouse import Attempt, Publication, Staging, open_staging
from gmmdask.warehouse.staging import MANIFEST
from tests.warehouse.examples import DAY, batch, publication, small_tables, stage


@pytest.fixture(params=["disk", "memory"])
def staging(request, tmp_path):
    if request.param == "disk":
        yield open_staging(str(tmp_path / "house"))
        return
    area = open_staging(f"memory://{tmp_path.name}")
    yield area
    if area.filesystem.exists(f"/{tmp_path.name}"):
        area.filesystem.rm(f"/{tmp_path.name}", recursive=True)


def test_a_staged_run_is_loaded_as_it_was_staged(staging):
    dates = [DAY + timedelta(days=number) for number in range(3)]
    publications = [publication(dt) for dt in dates]
    ids = {dt: [f"{dt}-{number}" for number in range(3)] for dt in dates}
    release = stage(staging, publications, ids).load()
    assert release.publications == tuple(publications)
    assert release.staged is not None
    assert release.staged.rows == 9
    assert release.tables["grid"].to_pylist()[0]["run_id"] == "run-1"
    assert release.tables["segments"].column("model_id").to_pylist() == ["m1", "m1"]
    found = [row for path in release.staged.paths for row in _read(staging.filesystem, path)]
    assert found == [row for dt in dates for row in batch(dt, ids[dt]).to_pylist()]


def _read(filesystem: fsspec.AbstractFileSystem, path: str) -> list[dict[str, object]]:
    with filesystem.open(path, "rb") as file:
        return pq.read_table(file).to_pylist()


@settings(max_examples=20)
@given(st.lists(st.lists(st.text(max_size=3), max_size=4), max_size=3), st.dates())
def test_writing_a_partition_again_gives_the_same_bytes(ids, dt):
    """Equality of bytes, of files of any number of row groups, empty ones too."""
    area = open_staging("memory://same-bytes")
    first, second = area.begin("run-1"), area.begin("run-1")
    written = [attempt.write(4, [batch(dt, group) for group in ids]) for attempt in (first, second)]
    assert written[0] == written[1]
    assert written[0].rows == sum(map(len, ids))
    contents = [area.filesystem.cat_file(f"{one.folder}/{written[0].path}") for one in (first, second)]
    assert contents[0] == contents[1]
    assert len(contents[0]) == written[0].nbytes


def test_an_attempt_travels_to_a_worker_and_back(staging):
    attempt = pickle.loads(pickle.dumps(staging.begin("run-1")))
    assert attempt.write(0, [batch(DAY, ["a"])]).rows == 1


def test_an_attempt_without_its_manifest_is_not_complete(staging):
    attempt = staging.begin("run-1")
    attempt.write(0, [batch(DAY, ["a"])])
    assert not attempt.is_complete
    assert staging.complete("run-1") is None
    with pytest.raises(WarehouseError, match=r"no complete attempt at run run-1: compute it again"):
        attempt.load()


@pytest.mark.parametrize("change", ["removed", "truncated"])
def test_an_attempt_that_lost_a_file_is_not_complete(staging, change):
    attempt = stage(staging, [publication()], {DAY: ["a", "b"]})
    assert attempt.is_complete
    path = f"{attempt.folder}/assignments-000000.parquet"
    staging.filesystem.rm(path)
    if change == "truncated":
        staging.filesystem.pipe_file(path, b"PAR1")
    assert not attempt.is_complete


def test_a_complete_attempt_is_found_among_broken_ones_and_the_latest_wins(staging):
    stage(staging, [publication()], {DAY: ["a"]})
    later = stage(staging, [publication()], {DAY: ["b"]})
    staging.begin("run-1").write(0, [batch(DAY, ["c"])])
    assert staging.complete("run-1") == later


def test_runs_that_wait_are_listed_with_one_attempt_each(staging):
    assert staging.waiting() == []
    stage(staging, [publication()], {DAY: ["a"]})
    kept = stage(staging, [publication()], {DAY: ["a"]})
    other = stage(staging, [publication(run_id="run-2")], {DAY: ["a"]})
    staging.begin("run-3").write(0, [batch(DAY, ["c"])])
    assert staging.waiting() == [kept, other]


def test_superseded_attempts_are_removed_and_the_kept_one_stays_complete(staging):
    stage(staging, [publication()], {DAY: ["a"]})
    kept = stage(staging, [publication()], {DAY: ["a"]})
    staging.begin("run-1").write(0, [batch(DAY, ["c"])])
    assert staging.remove("run-1", keep=kept) == 2
    assert staging.attempts("run-1") == [kept]
    assert kept.is_complete
    assert staging.remove("run-1") == 1
    assert staging.waiting() == []
    assert staging.remove("run-1") == 0


def test_nothing_but_the_files_named_is_left_on_disk(tmp_path):
    attempt = stage(open_staging(str(tmp_path)), [publication()], {DAY: ["a"]})
    found = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {MANIFEST, "assignments-000000.parquet", *(f"table-{n}.parquet" for n in small_tables("r", 1))}
    assert attempt.is_complete


def test_a_partition_that_fails_half_way_leaves_no_file(tmp_path):
    def batches():
        yield batch(DAY, ["a"])
        raise OSError("the bucket went away")

    attempt = open_staging(str(tmp_path)).begin("run-1")
    with pytest.raises(OSError, match=r"went away"):
        attempt.write(0, batches())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_missing_id_is_refused_with_its_partition(staging):
    with pytest.raises(InvalidInputError, match=r"partition 3, batch 0: column id of table assignments.* 1 of 2 rows"):
        staging.begin("run-1").write(3, [batch(DAY, ["a", None])])


def test_columns_of_other_lengths_or_names_are_refused_with_their_partition(staging):
    attempt = staging.begin("run-1")
    with pytest.raises(InvalidInputError, match=r"partition 0, batch 0"):
        attempt.write(0, [{"id": ["a"], "dt": [DAY, DAY]}])
    with pytest.raises(InvalidInputError, match=r"partition 0, batch 0: table assignments has no column label"):
        attempt.write(0, [batch(DAY, ["a"]).append_column("label", [[1]])])


def test_a_manifest_of_a_newer_version_is_refused(staging):
    attempt = stage(staging, [publication()], {DAY: ["a"]})
    path = f"{attempt.folder}/{MANIFEST}"
    text = staging.filesystem.cat_file(path).replace(b'"version": 1', b'"version": 9')
    staging.filesystem.pipe_file(path, text)
    with pytest.raises(WarehouseError, match=r"newer gmmdask .manifest version 9.: upgrade"):
        attempt.load()


def test_publications_of_another_run_are_not_staged(staging):
    with pytest.raises(InvalidInputError, match=r"must all name run run-1"):
        staging.begin("run-1").finish([publication(run_id="run-2")], [], {})


@pytest.mark.parametrize(
    ("kind", "run_id", "champion", "message"),
    [
        ("nightly", "r", "m", "must be one of night, repeat, rescore, promote, rollback, not 'nightly'"),
        ("repeat", None, None, "needs a run_id"),
        ("night", "r", None, "needs a champion_id"),
        ("rescore", "r", "m", "must not name a champion_id"),
    ],
)
def test_a_publication_that_contradicts_its_kind_is_refused(kind, run_id, champion, message):
    with pytest.raises(InvalidInputError, match=message):
        Publication(segmentation="f", kind=kind, dt=date(2013, 1, 1), model_id="m", run_id=run_id, champion_id=champion)


class Refusing(MemoryFileSystem):
    """A store that lets nothing through."""

    def _open(self, path: str, *args: object, **kwargs: object) -> NoReturn:
        raise PermissionError("Access Denied")

    def ls(self, path: str, *args: object, **kwargs: object) -> NoReturn:
        raise TimeoutError("no answer")


def test_a_store_that_refuses_or_does_not_answer_is_told_with_the_path():
    attempt = Attempt(filesystem=Refusing(), folder="/house/staging/run-1/001-00000000", run_id="run-1")
    with pytest.raises(StorageError, match=r"staging: /house/.*parquet refused the credentials .Access Denied.; check"):
        attempt.write(0, [batch(DAY, ["a"])])
    with pytest.raises(StorageError, match=r"staging: /house/staging cannot be used .TimeoutError: no answer."):
        Staging(filesystem=Refusing(), folder="/house/staging").waiting()


def test_an_error_of_the_rows_themselves_stays_what_it_is(staging):
    def batches():
        yield batch(DAY, ["a"])
        raise UnreadablePartitionError("dt=2013-05-01/a.parquet is corrupt")

    with pytest.raises(UnreadablePartitionError, match="is corrupt"):
        staging.begin("run-1").write(0, batches())


def test_folders_of_others_among_the_attempts_are_let_be(staging):
    kept = stage(staging, [publication()], {DAY: ["a"]})
    staging.filesystem.makedirs(f"{staging.folder}/run-1/notes")
    assert staging.attempts("run-1") == [kept]
    assert staging.begin("run-1").folder.rpartition("/")[2].startswith("002-")

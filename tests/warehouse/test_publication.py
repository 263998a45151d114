"""Publication: all of a run at once, once, and nothing of a run that is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError, UnknownNameError, WarehouseBusyError, WarehouseError
from gmmdask.warehouse import Limits, Patience, Release, Staging, open_staging, open_warehouse
from gmmdask.warehouse.duckdb_file import DuckDBFile
from tests.warehouse.examples import DAY, NOON, batch, contents, publication, small_tables, stage

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def staging(tmp_path):
    return open_staging(str(tmp_path))


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBFile(path=str(tmp_path / "w.duckdb"), now=lambda: NOON)


def _ids(warehouse, dt: date = DAY) -> list[str]:
    sql = "SELECT id FROM current_assignments WHERE dt = $dt ORDER BY id"
    return warehouse.query(sql, {"dt": dt}).column(0).to_pylist()


def test_a_published_run_is_what_was_staged(staging, warehouse):
    assert warehouse.publish(stage(staging, [publication()], {DAY: ["a", "b"]}).load())
    shown = warehouse.query("SELECT * EXCLUDE (segmentation, run_id, model_id, segment_name) FROM current_assignments")
    assert sorted(shown.to_pylist(), key=repr) == sorted(
        batch(DAY, ["a", "b"]).to_pylist(), key=lambda r: repr({name: r[name] for name in shown.column_names})
    )
    found = contents(warehouse)
    for name, rows in small_tables("run-1", 2).items():
        assert len(found[name]) == len(rows)
        for row in rows:
            assert any(row.items() <= each.items() for each in found[name])
    assert warehouse.published_run("key of run-1") == "run-1"


def test_publishing_a_run_again_changes_nothing(staging, warehouse):
    release = stage(staging, [publication()], {DAY: ["a", "b"]}).load()
    warehouse.publish(release)
    before = contents(warehouse)
    assert not warehouse.publish(release)
    assert contents(warehouse) == before


def test_a_run_published_by_another_while_we_checked_is_left_alone(staging, warehouse):
    release = stage(staging, [publication()], {DAY: ["a", "b"]}).load()

    def overtake(point: str) -> None:
        if point == "checked":
            assert warehouse.publish(release)

    assert not warehouse.publish(release, at=overtake)
    assert len(contents(warehouse)["assignments"]) == 2


def test_the_night_after_adds_its_date_and_a_repeat_replaces_one(staging, warehouse):
    warehouse.publish(stage(staging, [publication(DAY, run_id="run-1")], {DAY: ["a"]}).load())
    warehouse.publish(stage(staging, [publication(NEXT, run_id="run-2")], {NEXT: ["b"]}).load())
    warehouse.publish(stage(staging, [publication(DAY, "repeat", run_id="run-3")], {DAY: ["c", "d"]}).load())
    assert (_ids(warehouse, DAY), _ids(warehouse, NEXT)) == (["c", "d"], ["b"])


def test_rows_in_the_memory_of_an_object_store_are_published_too(tmp_path, warehouse):
    area = open_staging(f"memory://{tmp_path.name}")
    warehouse.publish(stage(area, [publication()], {DAY: ["a", "b"]}).load())
    assert _ids(warehouse) == ["a", "b"]


class Bucket(MemoryFileSystem):
    """A store with the addresses of S3, of which DuckDB itself knows nothing here."""

    protocol = ("s3", "s3a")

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("s3://").lstrip("/")

    def unstrip_protocol(self, name):
        return "s3://" + name.lstrip("/")


class ClosedBucket(Bucket):
    """The same after the credentials ran out."""

    def _open(self, path, *args, **kwargs):
        raise PermissionError("Access Denied")


def test_a_bucket_that_refuses_at_publication_is_told_in_one_sentence(tmp_path, warehouse):
    area = Staging(filesystem=Bucket(), folder=f"/{tmp_path.name}/staging")
    release = stage(area, [publication()], {DAY: ["a"]}).load()
    assert release.staged is not None
    closed = replace(release, staged=replace(release.staged, filesystem=ClosedBucket()))
    with pytest.raises(WarehouseError, match=r"^the staged rows cannot be checked: PermissionError: Access Denied"):
        warehouse.publish(closed)
    assert contents(warehouse) == {}


def test_a_bucket_is_read_through_its_own_filesystem_without_extensions(tmp_path, warehouse):
    area = Staging(filesystem=Bucket(), folder=f"/{tmp_path.name}/staging")
    warehouse.publish(stage(area, [publication()], {DAY: ["a", "b"]}).load())
    assert _ids(warehouse) == ["a", "b"]


def test_a_run_without_rows_is_published(staging, warehouse):
    assert warehouse.publish(stage(staging, [publication()], {}).load())
    assert _ids(warehouse) == []
    assert warehouse.champion_before("flights", NEXT) == "m1"


def test_a_rollback_takes_effect_at_once_and_keeps_the_labels(staging, warehouse):
    warehouse.publish(stage(staging, [publication(DAY, model="m1", run_id="run-1")], {DAY: ["a"]}).load())
    warehouse.publish(stage(staging, [publication(NEXT, model="m2", run_id="run-2")], {NEXT: ["b"]}).load())
    warehouse.publish(Release(publications=(publication(NEXT, "rollback", model="m1", run_id=None),)))
    seen = contents(warehouse)
    assert [row["champion_id"] for row in seen["champion"]] == ["m1"]
    assert {row["run_id"] for row in seen["current_segments"]} == {"run-1"}
    assert _ids(warehouse, NEXT) == ["b"]


def test_before_the_first_night_there_is_no_champion_and_no_run(warehouse):
    assert warehouse.champion_before("flights", DAY) is None
    assert warehouse.published_run("key of run-1") is None
    assert warehouse.remove_superseded() == 0


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    events=st.lists(
        st.tuples(st.sampled_from(["night", "repeat", "rescore"]), st.sets(st.sampled_from([DAY, NEXT]), min_size=1)),
        min_size=1,
        max_size=3,
    )
)
def test_removing_superseded_rows_changes_nothing_that_readers_see(events, tmp_path_factory):
    """Equality of views; and exactly the rows of the view stay."""
    folder = tmp_path_factory.mktemp("superseded")
    staging, warehouse = open_staging(str(folder)), DuckDBFile(path=str(folder / "w.duckdb"))
    for number, (kind, dates) in enumerate(events):
        publications = [publication(dt, kind, run_id=f"run-{number}") for dt in sorted(dates)]
        warehouse.publish(stage(staging, publications, {dt: ["a", f"b{number}"] for dt in dates}).load())
    before = contents(warehouse)
    removed = warehouse.remove_superseded()
    after = contents(warehouse)
    assert removed == len(before["assignments"]) - len(before["current_assignments"])
    assert len(after["assignments"]) == len(after["current_assignments"])
    assert {**after, "assignments": None} == {**before, "assignments": None}
    assert warehouse.remove_superseded() == 0


def test_a_name_reaches_every_run_of_a_segment_and_stays_with_its_id(staging, warehouse):
    warehouse.publish(stage(staging, [publication(DAY, run_id="run-1")], {DAY: ["a"]}).load())
    warehouse.name_segment("flights", 0, "short hops")
    warehouse.publish(stage(staging, [publication(NEXT, model="m2", run_id="run-2")], {NEXT: ["b"]}).load())
    names = {(row["run_id"], row["segment_id"]): row["name"] for row in contents(warehouse)["segments"]}
    assert names == {("run-1", 0): "short hops", ("run-2", 0): "short hops", ("run-1", 1): None, ("run-2", 1): None}
    warehouse.name_segment("flights", 0, None)
    assert {row["name"] for row in contents(warehouse)["segments"]} == {None}


def test_naming_a_segment_that_never_was_is_refused(staging, warehouse):
    with pytest.raises(UnknownNameError, match=r"has no segment 9"):
        warehouse.name_segment("flights", 9, "ghost")
    warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    with pytest.raises(UnknownNameError, match=r"'ships' has no segment 0"):
        warehouse.name_segment("ships", 0, "ghost")


def test_ids_repeated_within_a_date_are_refused_by_date_id_and_count(staging, warehouse):
    attempt = staging.begin("run-1")
    files = [attempt.write(number, [batch(DAY, ["a", "twin"])]) for number in range(2)]
    files.append(attempt.write(2, [batch(NEXT, ["twin", "b"])]))
    attempt.finish([publication(DAY), publication(NEXT)], files, small_tables("run-1", 6))
    with pytest.raises(InvalidInputError, match=r"2013-05-01: 'a' in 2 rows; 2013-05-01: 'twin' in 2 rows. Mend"):
        warehouse.publish(attempt.load())
    assert warehouse.published_run("key of run-1") is None


def test_an_id_that_occurs_on_two_dates_is_no_duplicate(staging, warehouse):
    publications = [publication(DAY), publication(NEXT)]
    assert warehouse.publish(stage(staging, publications, {DAY: ["a"], NEXT: ["a"]}).load())


def test_rows_of_a_date_that_is_not_published_are_refused(staging, warehouse):
    release = stage(staging, [publication(DAY)], {DAY: ["a"], NEXT: ["b"]}).load()
    with pytest.raises(InvalidInputError, match=r"staged rows of 2013-05-02, a date that it does not publish"):
        warehouse.publish(release)


def test_files_that_hold_other_rows_than_were_staged_are_refused(staging, warehouse):
    release = stage(staging, [publication(DAY)], {DAY: ["a"]}).load()
    assert release.staged is not None
    with pytest.raises(WarehouseError, match=r"staged 2 rows, its files hold 1"):
        warehouse.publish(replace(release, staged=replace(release.staged, rows=2)))


def test_a_row_that_contradicts_its_status_leaves_the_tables_untouched(staging, warehouse):
    warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    before = contents(warehouse)
    attempt = staging.begin("run-2")
    wrong = batch(NEXT, ["b", "c"]).set_column(8, "status", [["ok", "ok"]])
    attempt.finish([publication(NEXT, run_id="run-2")], [attempt.write(0, [wrong])], small_tables("run-2", 2))
    with pytest.raises(WarehouseError, match=r"CHECK constraint.*nothing was written"):
        warehouse.publish(attempt.load())
    assert contents(warehouse) == before


def test_a_warehouse_of_another_make_is_refused_by_its_difference(staging, warehouse):
    import duckdb

    with duckdb.connect(warehouse.path) as connection:
        connection.execute("CREATE TABLE grid (run_id VARCHAR)")
    with pytest.raises(WarehouseError, match=r"table grid of warehouse .*differ in aic DOUBLE, bic DOUBLE"):
        warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())


def test_a_database_of_something_else_is_refused_and_left_alone(staging, warehouse):
    import duckdb

    with duckdb.connect(warehouse.path) as connection:
        connection.execute("CREATE TABLE customers (name VARCHAR); CREATE VIEW names AS FROM customers")
    release = stage(staging, [publication()], {DAY: ["a"]}).load()
    for use in (lambda: warehouse.champion_before("flights", DAY), lambda: warehouse.publish(release)):
        with pytest.raises(WarehouseError, match="DuckDB file of something else, with customers, names"):
            use()
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        assert connection.sql("SHOW TABLES").fetchall() == [("customers",), ("names",)]


class Timepiece:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def clock(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("role", ["reader", "writer"])
def test_a_warehouse_held_open_is_tried_until_the_timeout_and_then_the_holder_is_named(staging, warehouse, role):
    warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    second = stage(staging, [publication(NEXT, run_id="run-2")], {NEXT: ["b"]}).load()
    time = Timepiece()
    impatient = replace(warehouse, patience=Patience(timeout=60.0, clock=time.clock, sleep=time.sleep))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, warehouse.path, role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(WarehouseBusyError, match=rf"process {holder.pid} .*for 60 s; nothing was written"):
            impatient.publish(second)
        holder.communicate("")
    assert sum(time.pauses) == 60.0
    assert all(later >= earlier for earlier, later in zip(time.pauses[:-2], time.pauses[1:-1], strict=True))
    assert max(time.pauses) <= 10.0
    assert warehouse.publish(second)


def test_a_warehouse_that_is_let_go_in_time_is_published_to(staging, warehouse):
    import duckdb

    warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    notebook = duckdb.connect(warehouse.path, read_only=True)
    pauses: list[float] = []

    def close_notebook(seconds: float) -> None:
        pauses.append(seconds)
        notebook.close()

    patient = replace(warehouse, patience=Patience(sleep=close_notebook))
    assert patient.publish(stage(staging, [publication(NEXT, run_id="run-2")], {NEXT: ["b"]}).load())
    assert pauses


def test_limits_reach_the_database_and_nothing_is_fetched_from_outside(staging, warehouse):
    limits = Limits(memory_limit="128MiB", temp_directory=str(staging.folder), threads=1)
    limited = replace(warehouse, limits=limits)
    assert limited.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    names = ["memory_limit", "temp_directory", "threads", "autoinstall_known_extensions", "autoload_known_extensions"]
    found = limited.query("SELECT name, value FROM duckdb_settings()").to_pylist()
    settings_found = {row["name"]: row["value"] for row in found}
    assert [settings_found[name] for name in names] == ["128.0 MiB", str(staging.folder), "1", "false", "false"]


def test_a_query_that_fails_or_writes_is_an_error_of_ours(staging, warehouse):
    with pytest.raises(WarehouseError, match=r"no warehouse .* yet"):
        warehouse.query("SELECT 1")
    warehouse.publish(stage(staging, [publication()], {DAY: ["a"]}).load())
    with pytest.raises(WarehouseError, match=r"no_such_table"):
        warehouse.query("SELECT * FROM no_such_table")
    with pytest.raises(WarehouseError, match=r"read-only"):
        warehouse.query("DELETE FROM runs")


def test_a_folder_that_does_not_exist_is_named(tmp_path, staging):
    away = DuckDBFile(path=str(tmp_path / "nowhere" / "w.duckdb"))
    with pytest.raises(WarehouseError, match=r"cannot open the warehouse .*nowhere/w.duckdb"):
        away.publish(stage(staging, [publication()], {DAY: ["a"]}).load())


@pytest.mark.parametrize("name", ["o'brien", 'say "hello"', "Robert'); DROP TABLE runs; --", "ünïcode $1 ?"])
def test_odd_names_are_values_like_any_other(tmp_path, warehouse, name):
    folder = tmp_path / name.replace("/", "")
    row = replace(publication(run_id=name), segmentation=name, model_id=name, champion_id=name)
    warehouse.publish(stage(open_staging(str(folder)), [row], {DAY: [name]}).load())
    warehouse.name_segment(name, 0, name)
    shown = contents(warehouse)["current_assignments"]
    assert [(r["segmentation"], r["id"], r["run_id"], r["segment_name"]) for r in shown] == [(name,) * 4]
    assert warehouse.champion_before(name, NEXT) == name


@pytest.mark.parametrize("uri", ["duckdb:///data/w.duckdb", "/data/w.duckdb"])
def test_a_warehouse_is_opened_by_its_uri(uri):
    limits = Limits(memory_limit="1GB")
    opened = open_warehouse(uri, limits=limits, publish_timeout=5)
    assert opened == DuckDBFile(path="/data/w.duckdb", limits=limits, patience=Patience(timeout=5))


@pytest.mark.parametrize("uri", ["postgresql://me:hunter2@host/db", "/data/w.sqlite", "duckdb://", ""])
def test_an_unknown_warehouse_is_refused_without_repeating_its_secrets(uri):
    with pytest.raises(InvalidInputError, match=r"a warehouse is duckdb:///path") as caught:
        open_warehouse(uri)
    assert "hunter2" not in str(caught.value)

"""What an id stands for: an event, once in the lake, or a thing that every date has a snapshot of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from gmmdask.errors import InvalidInputError
from gmmdask.nightly import plan_night, run_night
from gmmdask.nightly.plan import staging_of, warehouse_of
from gmmdask.settings import Settings, load_settings
from gmmdask.warehouse import Publication
from tests.nightly.lakes import ROWS, birds, day, files_below, write_day, write_settings, write_world
from tests.nightly.test_night import copied, rows

SNAPSHOT = {'name = "birds"': 'name = "birds"\nentity = "snapshot"'}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("first")
    run_night(write_world(root, days=2))
    return root


@pytest.fixture
def world(first, tmp_path) -> tuple[Path, Settings]:
    return tmp_path, copied(first, tmp_path)


def with_a_stranger(number: int, stranger: int) -> pa.Table:
    """The rows of a day, and one of another day."""
    return pa.concat_tables([birds(number), birds(stranger).slice(3, 1)])


def everything(root: Path) -> dict[str, bytes]:
    return {path: (root / path).read_bytes() for path in files_below(root)}


def test_an_event_on_two_dates_of_one_run_is_refused_and_nothing_is_written(tmp_path):
    settings = write_world(tmp_path)
    write_day(tmp_path, 2, with_a_stranger(2, 0))
    with pytest.raises(InvalidInputError, match="2024-01-01 to 2024-01-03: '0-3' in 2 rows"):
        run_night(settings)
    assert files_below(tmp_path) == []


def test_an_event_that_another_date_has_published_is_refused_and_nothing_is_written(world):
    root, settings = world
    write_day(root, 2, with_a_stranger(2, 0))
    before = everything(root)
    with pytest.raises(InvalidInputError, match="'0-3' of 2024-01-03 is published for 2024-01-01"):
        run_night(settings)
    assert everything(root) == before


def test_an_event_may_be_published_again_for_its_own_date(world):
    root, settings = world
    write_day(root, 2)
    run_night(settings)
    write_day(root, 1, birds(1, ROWS + 1))
    (repeat,) = run_night(settings).repeats
    assert [publication.dt for publication in repeat.release.publications] == [day(1)]


def test_an_event_that_moved_is_accepted_once_its_old_date_is_repeated(world):
    root, settings = world
    write_day(root, 0, birds(0).slice(4))
    write_day(root, 2, with_a_stranger(2, 0))
    with pytest.raises(InvalidInputError, match="repeat it"):
        run_night(settings)
    run_night(settings, day(0))
    run_night(settings)
    assert [row["dt"] for row in rows(settings, "current_assignments") if row["id"] == "0-3"] == [day(2)]


def test_a_staged_run_that_is_refused_stops_no_later_night(world):
    """As when another process published the same event while this run waited."""
    root, settings = world
    attempt = staging_of(settings).begin("stranger")
    ((row,),) = [[row for row in rows(settings, "assignments") if row["id"] == "0-3"]]
    batch = pa.Table.from_pylist([{**row, "dt": day(5)}]).drop_columns(["segmentation", "run_id"])
    publication = Publication(segmentation="birds", kind="repeat", dt=day(5), model_id="m", run_id="stranger")
    attempt.finish([publication], [attempt.write(0, [batch])], {}, entity="event")
    before = rows(settings, "publications")
    with pytest.raises(InvalidInputError, match="'0-3' of 2024-01-06 is published for 2024-01-01"):
        run_night(settings)
    assert rows(settings, "publications") == before
    write_day(root, 2)
    assert run_night(settings).release is not None


def test_snapshots_come_back_on_every_date(tmp_path):
    settings = write_world(tmp_path, days=2, changes=SNAPSHOT)
    for number in (1, 2):
        write_day(tmp_path, number, pa.concat_tables([birds(number), birds(0).slice(3, 1)]))
    run_night(settings)
    assert [row["dt"] for row in rows(settings, "current_assignments") if row["id"] == "0-3"] == [
        day(0),
        day(1),
        day(2),
    ]


def test_a_snapshot_occurs_once_on_a_date(tmp_path):
    settings = write_world(tmp_path, days=2, changes=SNAPSHOT)
    write_day(tmp_path, 1, with_a_stranger(1, 1))
    with pytest.raises(InvalidInputError, match=r"within a date.*2024-01-02: '1-3' in 2 rows"):
        run_night(settings)
    assert files_below(tmp_path) == []


def test_events_of_another_segmentation_are_others(first, tmp_path):
    copied(first, tmp_path)
    other = load_settings(write_settings(tmp_path, {'name = "birds"': 'name = "waders"'}))
    assert run_night(other).release is not None
    assert plan_night(other).state == "published"
    assert len(rows(other, "champion")) == 2


def test_an_entity_is_part_of_what_a_run_is(first, tmp_path):
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    snapshot = load_settings(write_settings(tmp_path, SNAPSHOT))
    assert plan_night(snapshot).run_key != plan_night(load_settings(write_settings(tmp_path))).run_key
    assert warehouse_of(snapshot).query("SELECT count(*) AS n FROM publications").to_pylist() == [{"n": 2}]

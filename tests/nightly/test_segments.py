"""Names of segments, from the command to everything that shows a segment."""

from __future__ import annotations

import io
import re
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from gmmdask.errors import UnknownNameError, WarehouseBusyError, WarehouseError
from gmmdask.nightly import (
    name_segment,
    plan_night,
    publish_waiting,
    read_segments,
    run_night,
    score_night,
    train_model,
)
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.reporting import report_night
from gmmdask.nightly.summary import print_night
from gmmdask.settings import Settings
from tests.nightly.lakes import day, write_day, write_world
from tests.nightly.test_night import copied, rows

NAME = "[red]Owls[/] <b> & o'Neill's \"big\""


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("first")
    run_night(write_world(root, days=2))
    return root


@pytest.fixture
def world(first, tmp_path) -> tuple[Path, Settings]:
    return tmp_path, copied(first, tmp_path)


def shown_names(settings: Settings) -> set[tuple[int, str | None]]:
    return {(row["segment_id"], row["name"]) for row in rows(settings, "current_segments")}


def test_a_name_is_in_the_views_in_later_nights_in_the_report_and_in_the_summary(world):
    root, settings = world
    name_segment(settings, 1, NAME)
    assert shown_names(settings) == {(1, NAME), (2, None)}
    write_day(root, 2)
    night = run_night(settings)
    assert shown_names(settings) == {(1, NAME), (2, None)}
    labelled = rows(settings, "current_assignments")
    assert {(row["dt"], row["segment_name"]) for row in labelled if row["segment_id"] == 1} == {
        (day(number), NAME) for number in range(3)
    }
    assert {row["segment_name"] for row in labelled if row["segment_id"] != 1} == {None}
    assert night.release.tables["segments"]["name"].to_pylist() == [NAME, None]

    console = Console(file=io.StringIO(), width=200)
    print_night(night, settings, console)
    assert console.file.getvalue().count(NAME) == 2  # among the means and among the most frequent
    page = Path(report_night(settings, root / "report.html")).read_text(encoding="utf-8")
    assert "[red]Owls[/] &lt;b&gt; &amp; o" in page
    assert "Owls[/] <b>" not in page


def test_a_name_given_while_a_night_waits_to_be_published_is_in_it(world):
    root, settings = world
    write_day(root, 2)
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    name_segment(settings, 2, "Small birds")
    (release,) = publish_waiting(settings)
    assert release.tables["segments"]["name"].to_pylist() == [None, "Small birds"]
    assert {row["dt"] for row in rows(settings, "current_segments")} == {day(2)}
    assert shown_names(settings) == {(1, None), (2, "Small birds")}


def test_what_is_listed_is_what_the_view_shows(world):
    _, settings = world
    name_segment(settings, 2, "Small birds")
    listed = read_segments(settings)
    assert [(row["segment_id"], row["name"]) for row in listed["segments"]] == [(1, None), (2, "Small birds")]
    assert {row["run_id"] for row in listed["segment_profiles"]} == {listed["segments"][0]["run_id"]}


def test_before_the_first_night_there_is_nothing_to_list_or_name(tmp_path):
    settings = write_world(tmp_path, days=1)
    with pytest.raises(WarehouseError, match="no warehouse"):
        read_segments(settings)
    with pytest.raises(UnknownNameError, match="has no segment 1; nothing of it was published"):
        name_segment(settings, 1, "x")
    assert not (tmp_path / "house").exists()


def test_a_warehouse_held_open_is_an_error_and_nothing_is_said_to_be_staged(world):
    _, settings = world
    options = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with (
        duckdb.connect(settings.warehouse.uri, read_only=True, config=options),
        pytest.raises(WarehouseError, match=r"held open by .*; nothing was written") as caught,
    ):
        name_segment(settings, 1, "x")
    assert not isinstance(caught.value, WarehouseBusyError)
    assert shown_names(settings) == {(1, None), (2, None)}
    assert not re.search("stag", str(caught.value))

"""Training on demand: the window, the held-out rows, and two runs of one night at once."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from gmmdask.errors import InvalidInputError, WarehouseError
from gmmdask.nightly import plan_night, publish_night, run_night, score_night, train_model
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.plan import staging_of
from gmmdask.nightly.summary import print_night
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import ROWS, birds, day, files_below, replaced, write_day, write_settings, write_world
from tests.nightly.test_night import contents, copied, is_held_out, rows


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("first")
    run_night(write_world(root, days=3))
    return root


@pytest.fixture
def world(first, tmp_path) -> tuple[Path, Settings]:
    return tmp_path, copied(first, tmp_path)


def trained_dates(settings: Settings, run_id: str):
    return sorted(
        row["dt"] for row in rows(settings, "lineage") if (row["run_id"], row["purpose"]) == (run_id, "train")
    )


def test_a_refit_trains_on_all_dates_up_to_its_own_and_labels_its_own_alone(world):
    root, settings = world
    before = contents(settings)
    write_day(root, 3)
    write_day(root, 4)
    night = run_night(settings, day(3), refit=True)
    assert trained_dates(settings, night.plan.run_id) == [day(number) for number in range(4)]
    after = contents(settings)
    assert [row for row in after["assignments"] if row["dt"] < day(3)] == before["assignments"]
    assert after["champion"][0]["champion_id"] != before["champion"][0]["champion_id"]
    assert {row["dt"] for row in after["current_segments"]} == {day(3)}


def test_a_window_bounds_what_training_sees_and_not_what_is_published(tmp_path):
    settings = write_world(tmp_path, changes={"[warehouse]": "[training]\ntrain_window = 2\n\n[warehouse]"})
    night = run_night(settings)
    assert trained_dates(settings, night.plan.run_id) == [day(1), day(2)]
    assert {row["dt"] for row in rows(settings, "current_assignments")} == {day(0), day(1), day(2)}


def test_a_window_without_a_date_but_its_own_is_enough(world):
    root, settings = world
    path = write_settings(root, {"[warehouse]": "[training]\ntrain_window = 7\n\n[warehouse]"})
    write_day(root, 30)
    night = run_night(load_settings(path), refit=True)
    assert trained_dates(settings, night.plan.run_id) == [day(30)]
    assert night.plan.train_since == day(30) - timedelta(days=6)


def test_training_sees_no_date_before_the_one_that_is_set(tmp_path):
    changes = {"[warehouse]": f"[training]\ntrain_since = {day(1)}\n\n[warehouse]"}
    settings = write_world(tmp_path, changes=changes)
    night = run_night(settings)
    assert trained_dates(settings, night.plan.run_id) == [day(1), day(2)]
    assert {row["dt"] for row in rows(settings, "current_assignments")} == {day(0), day(1), day(2)}


def test_a_night_before_the_first_date_of_training_is_refused_and_nothing_is_written(tmp_path):
    changes = {"[warehouse]": f"[training]\ntrain_since = {day(9)}\n\n[warehouse]"}
    settings = write_world(tmp_path, changes=changes)
    before = files_below(tmp_path)
    with pytest.raises(InvalidInputError, match="train_since is 2024-01-10, and the night of 2024-01-03 is earlier"):
        run_night(settings)
    assert files_below(tmp_path) == before


def test_a_refit_of_an_earlier_date_is_refused_and_nothing_is_written(world):
    root, settings = world
    before = {path: (root / path).read_bytes() for path in files_below(root)}
    with pytest.raises(InvalidInputError, match="2024-01-01 is before the last night, 2024-01-03"):
        run_night(settings, day(0), refit=True)
    assert {path: (root / path).read_bytes() for path in files_below(root)} == before


def test_changed_preparation_and_grid_are_told_until_a_champion_is_trained_with_them(world):
    root, settings = world
    write_day(root, number := len(list((root / "lake").iterdir())))
    assert "--refit" not in (quiet := run_night(settings)).release.tables["runs"]["reason"][0].as_py()
    write_settings(
        root, {"[grid]\nn_components = [1, 2, 3]": '[preparation]\nscale = "minmax"\n[grid]\nn_components = [2]'}
    )
    changed = load_settings(root / "birds.toml")
    write_day(root, number + 1)
    night = run_night(changed)
    model_id = night.release.publications[0].model_id
    assert model_id == quiet.release.publications[0].model_id
    told = (
        f"[preparation] and [grid] differ from what model {model_id} was trained with; they take effect when a new "
        "champion is trained (--refit)."
    )
    assert night.release.tables["runs"]["reason"][0].as_py().endswith(told)
    console = Console(file=io.StringIO(), width=300)
    print_night(night, changed, console)
    assert told in console.file.getvalue()
    write_day(root, number + 2)
    run_night(changed, refit=True)
    write_day(root, number + 3)
    assert "--refit" not in run_night(changed).release.tables["runs"]["reason"][0].as_py()


def test_other_features_than_the_champions_ask_for_a_refit(world):
    root, _ = world
    write_day(root, 3)
    path = write_settings(root, {'"speed", "weight"': '"speed"'})
    with pytest.raises(InvalidInputError, match=r"speed, weight, and the settings have speed; .*--refit"):
        run_night(load_settings(path))
    assert run_night(load_settings(path), refit=True).plan.action == "refit"


def test_held_out_rows_change_no_bit_of_a_model_and_are_published(tmp_path):
    """Bits: the kept rows are the same, the held-out ones are nonsense in the second lake."""
    models = []
    for name, nonsense in (("plain", False), ("changed", True)):
        settings = write_world(tmp_path / name, days=1)
        for number in range(2):
            table = birds(number)
            speed = [
                value * 1e6 if nonsense and is_held_out(id_) else value
                for id_, value in zip(table["ring"].to_pylist(), table["speed"].to_pylist(), strict=True)
            ]
            write_day(tmp_path / name, number, replaced(table, "speed", speed))
        plan = plan_night(settings)
        with open_engine(settings.cluster) as engine:
            models.append(train_model(plan, settings, engine).model.segments)
            score_night(plan, settings, train_model(plan, settings, engine), engine)
        publish_night(plan, settings)
        assert len(rows(settings, "current_assignments")) == 2 * ROWS
    plain, changed = models
    assert plain.parameters == changed.parameters
    assert plain.recipe.fingerprint == changed.recipe.fingerprint
    assert plain.anomaly_threshold == changed.anomaly_threshold


def scored(settings: Settings, during=None):
    """Compute a night and stage it; `during` is called when its rows are staged and nothing else is."""

    def at(point: str) -> None:
        if point == "scored" and during is not None:
            during()

    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine, at=at)
    return plan


def test_of_two_runs_of_one_night_one_wins_and_the_other_says_so(world, tmp_path_factory):
    """Rows of every table and view: those of a night that ran alone."""
    root, settings = world
    write_day(root, 3)
    alone = copied(root, tmp_path_factory.mktemp("alone"))
    run_night(alone)
    with pytest.raises(WarehouseError, match=r"another process computed run .* and published it first"):
        scored(settings, during=lambda: run_night(settings))
    assert contents(settings) == contents(alone)
    assert [path for path in files_below(root) if ".work" in path] == []


def test_a_run_that_fails_leaves_the_attempt_of_another_process_alone(world):
    root, settings = world
    write_day(root, 3)

    class StopError(BaseException):
        pass

    def rival_then_stop() -> None:
        scored(settings)
        raise StopError

    with pytest.raises(StopError):
        scored(settings, during=rival_then_stop)
    plan = plan_night(settings)
    assert plan.state == "staged"
    assert len(staging_of(settings).attempts(plan.run_id)) == 1


def test_the_slower_of_two_runs_that_both_computed_everything_says_so(world, tmp_path_factory):
    root, settings = world
    write_day(root, 3)
    rival = copied(root, tmp_path_factory.mktemp("rival"))
    rival = settings.model_copy(
        update={"warehouse": rival.warehouse.model_copy(update={"uri": settings.warehouse.uri})}
    )
    slower = scored(rival)
    run_night(settings)
    with pytest.raises(WarehouseError, match="published it first"):
        publish_night(slower, rival)
    assert staging_of(rival).waiting() == []

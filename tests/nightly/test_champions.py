"""Which model is in force, changed by hand: promoted, rolled back, and never by accident."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gmmdask.errors import InvalidInputError, UnknownNameError
from gmmdask.nightly import plan_night, publish_waiting, run_night
from gmmdask.nightly.champions import differences, find_model, list_models, promote_model, rollback_champion
from gmmdask.nightly.model import load_night_model, save_night_model
from gmmdask.nightly.night import run_plan
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import birds, day, write_day, write_settings, write_world
from tests.nightly.test_night import contents, copied, no_engine, rows


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Path:
    """Two nights, the second of which made a champion of its own."""
    root = tmp_path_factory.mktemp("grown")
    settings = write_world(root, days=2)
    run_night(settings)
    write_day(root, 2)
    run_night(settings, refit=True)
    return root


@pytest.fixture
def world(grown, tmp_path) -> tuple[Path, Settings]:
    return tmp_path, copied(grown, tmp_path)


class KilledError(Exception):
    """Stands for a process that was killed."""


def killed_at(where: str) -> Callable[[str], None]:
    def at(point: str) -> None:
        if point == where:
            raise KilledError

    return at


def reigns(settings: Settings) -> list[tuple[str, str]]:
    return [(row["kind"], row["champion_id"]) for row in rows(settings, "publications") if row["champion_id"]]


def champion(settings: Settings) -> str:
    return rows(settings, "champion")[0]["champion_id"]


def test_a_rollback_takes_effect_in_the_views_at_once_and_changes_no_label(world):
    _, settings = world
    (_, first), (_, second) = reigns(settings)
    before = contents(settings)
    rollback_champion(settings)
    after = contents(settings)
    assert champion(settings) == first
    assert {row["model_id"] for row in after["current_segments"]} == {first}
    assert {row["dt"] for row in after["current_segments"]} == {day(2)}, "as they are on the latest date"
    assert after["assignments"] == before["assignments"]
    assert after["current_assignments"] == before["current_assignments"]
    assert first != second


def test_a_rollback_is_itself_reversible(world):
    _, settings = world
    before = contents(settings)
    second = champion(settings)
    rollback_champion(settings)
    rollback_champion(settings)
    assert champion(settings) == second
    sizes = [(row["segment_id"], row["size"], row["model_id"]) for row in before["current_segments"]]
    after = rows(settings, "current_segments")
    assert [(row["segment_id"], row["size"], row["model_id"]) for row in after] == sizes
    rollback_champion(settings)
    assert [kind for kind, _ in reigns(settings)] == ["night", "night", "rollback", "rollback", "rollback"]


def test_the_next_night_is_labelled_by_who_was_promoted(world):
    root, settings = world
    (_, first), _ = reigns(settings)
    promote_model(settings, first)
    write_day(root, 3)
    night = run_night(settings)
    assert (night.plan.champion_id, night.plan.action) == (first, "keep")
    assert {row["model_id"] for row in rows(settings, "current_assignments") if row["dt"] == day(3)} == {first}
    assert champion(settings) == first


def test_repeating_the_last_night_leaves_a_later_decision_in_force(world):
    root, settings = world
    (_, first), _ = reigns(settings)
    promote_model(settings, first)
    write_day(root, 2, birds(2, n=100))
    night = run_night(settings)
    assert night.plan.kind == "repeat"
    assert champion(settings) == first
    assert len([row for row in rows(settings, "current_assignments") if row["dt"] == day(2)]) == 100


def test_promoting_the_champion_is_nothing_to_do(world):
    _, settings = world
    before = contents(settings)
    night = promote_model(settings, champion(settings))
    assert (night.plan.state, night.release) == ("published", None)
    assert contents(settings) == before


def test_a_killed_promotion_is_simply_run_again(world):
    _, settings = world
    (_, first), _ = reigns(settings)

    before = contents(settings)
    with pytest.raises(KilledError):
        promote_model(settings, first, at=killed_at("staged"))
    assert contents(settings) == before
    promote_model(settings, first)
    assert champion(settings) == first


def test_a_staged_promotion_enters_with_the_next_one(world):
    """Killed after staging was complete: what waits is published first, and the command finds it done."""
    _, settings = world
    (_, first), _ = reigns(settings)

    with pytest.raises(KilledError):
        promote_model(settings, first, at=killed_at("opened"))
    promote_model(settings, first)
    assert [kind for kind, _ in reigns(settings)] == ["night", "night", "promote"]


def test_there_is_nothing_to_roll_back_to_after_one_champion(tmp_path):
    settings = write_world(tmp_path, days=1)
    run_night(settings)
    with pytest.raises(InvalidInputError, match="never had another champion"):
        rollback_champion(settings)


def test_models_are_listed_the_champion_first(world):
    _, settings = world
    (_, first), (_, second) = reigns(settings)
    known = list_models(settings)
    assert [(one.model_id, one.state, one.n_dates) for one in known] == [
        (second, "champion", 1),
        (first, "former champion", 2),
    ]
    assert known[0].trained_on == f"{day(0)} to {day(2)}"


def test_a_model_is_found_by_the_beginning_of_its_id_or_its_role(world):
    _, settings = world
    (_, first), (_, second) = reigns(settings)
    assert find_model(settings, first[:6]) == first
    assert (find_model(settings, "champion"), find_model(settings, "previous")) == (second, first)
    with pytest.raises(UnknownNameError, match=f"no model 'zz' in 'birds'; known are .*{first}"):
        find_model(settings, "zz")


def test_a_bundle_that_was_changed_is_listed_as_such_and_cannot_be_promoted(world):
    root, settings = world
    (_, first), _ = reigns(settings)
    path = root / "registry" / "birds" / first / "bundle.json"
    document = json.loads(path.read_text())
    document["parts"]["segments"]["segment_ids"] = [7, 8]
    path.write_text(json.dumps(document))
    before = contents(settings)
    with pytest.raises(InvalidInputError, match="is not what was saved"):
        promote_model(settings, first)
    (listed,) = [one for one in list_models(settings) if one.model_id == first]
    assert listed.model is None
    assert "is not what was saved" in listed.trouble
    assert contents(settings) == before


def test_a_model_of_another_segmentation_or_of_other_features_is_refused(world):
    root, settings = world
    (_, first), _ = reigns(settings)
    home, foreign = root / "registry" / "birds", root / "registry" / "fish"
    home.rename(foreign)
    (root / "registry" / "birds").symlink_to(foreign)
    renamed = load_settings(write_settings(root, {'name = "birds"': 'name = "fish"'}))
    with pytest.raises(InvalidInputError, match="belongs to the segmentation 'birds', not to 'fish'"):
        promote_model(renamed, first)
    other = load_settings(write_settings(root, {'["speed", "weight"]': '["speed"]'}))
    with pytest.raises(InvalidInputError, match=r"trained on the features speed, weight, and the settings have speed"):
        promote_model(other, first)


def test_what_two_models_differ_in_is_told_segment_by_segment(world):
    _, settings = world
    (_, first), (_, second) = reigns(settings)
    old, new = load_night_model(settings, first), load_night_model(settings, second)
    assert differences(old, old) == [line for line in differences(old, old) if "+0 sd" in line], (
        "the same model moved nowhere"
    )
    told = differences(old, new)
    assert sum(line.startswith("segment 1: weight") for line in told) == 1


def test_a_model_that_was_disqualified_is_refused_with_the_reason(world):
    _, settings = world
    model = load_night_model(settings, champion(settings))
    collapsed = replace(model, provenance={**model.provenance, "objection": "a covariance became singular on the way"})
    save_night_model(settings, collapsed)
    before = contents(settings)
    with pytest.raises(InvalidInputError, match=r"was disqualified \(a covariance became singular on the way\)"):
        promote_model(settings, collapsed.model_id)
    assert contents(settings) == before


@pytest.mark.parametrize("refit", [False, True])
def test_a_model_chosen_while_a_night_is_computed_stays_in_force(world, refit):
    root, settings = world
    (_, first), _ = reigns(settings)
    write_day(root, 3)

    def at(point: str) -> None:
        if point == "begun":
            rollback_champion(settings)

    night = run_night(settings, refit=refit, at=at)
    assert night.release.publications[0].champion_id != first
    assert reigns(settings)[-2:] == [("rollback", first), ("night", first)]
    assert champion(settings) == first
    write_day(root, 4)
    assert run_night(settings).release.publications[0].model_id == first


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("point", ["planned", "staged", "checked"])
def test_a_rollback_that_a_night_overtakes_is_refused_and_changes_nothing(world, refit, point):
    root, settings = world
    (_, first), (_, second) = reigns(settings)
    write_day(root, 3)
    published = []

    def at(passed: str) -> None:
        if passed == point and not published:
            published.append(contents_after(settings, refit=refit))

    with pytest.raises(InvalidInputError, match=rf"to model {first} was planned before the night of {day(3)} was publ"):
        rollback_champion(settings, at=at)
    assert [contents(settings)] == published
    assert run_night(settings, engines=no_engine).plan.state == "published"
    assert publish_waiting(settings) == []
    rollback_champion(settings)
    assert champion(settings) == (second if refit else first)


def contents_after(settings: Settings, *, refit: bool) -> dict[str, list[dict[str, Any]]]:
    """Run a night to its end, as another process would, and return what the warehouse has then."""
    night = plan_night(settings, refit=refit)
    run_plan(night, settings)
    return contents(settings)


def test_of_two_changes_at_once_the_slower_is_refused(world):
    _, settings = world
    (_, first), (_, second) = reigns(settings)
    changed = []

    def at(passed: str) -> None:
        if passed == "begun" and not changed:
            changed.append(promote_model(settings, first))

    with pytest.raises(
        InvalidInputError, match=rf"before the promotion of {day(2)} was published, after which model {first}"
    ):
        rollback_champion(settings, at=at)
    assert reigns(settings) == [("night", first), ("night", second), ("promote", first)]


def test_a_rollback_goes_back_from_the_champion_that_was_seen(world):
    """A night that waited, and is published first, may have made another champion."""
    root, settings = world
    (_, first), (_, second) = reigns(settings)
    write_day(root, 3)
    with pytest.raises(KilledError):
        run_night(settings, refit=True, at=killed_at("opened"))
    with pytest.raises(InvalidInputError, match=rf"to model {first} was planned before the night of {day(3)} was publ"):
        rollback_champion(settings)
    assert champion(settings) not in (first, second)
    rollback_champion(settings)
    assert champion(settings) == second

"""What becomes of an announced verdict: the flow runs the night once more, which trains, once."""

from __future__ import annotations

from typing import Any

import pytest

from gmmdask.errors import InvalidInputError
from gmmdask.nightly import run_night
from gmmdask.settings import Settings
from tests.flows.test_nightly import pytestmark as _marks
from tests.nightly.lakes import day, write_day, write_world
from tests.nightly.test_night import contents, rows
from tests.nightly.test_watch import TRAINED, WINDOW, changes, decided, full_night, heavier, last_run

pytestmark = _marks
NIGHT = TRAINED + WINDOW - 1


@pytest.fixture(scope="module")
def announced(tmp_path_factory) -> tuple[Settings, Any]:
    """A world whose last night announced a refit, and its folder."""
    root = tmp_path_factory.mktemp("announced")
    settings = write_world(root, days=TRAINED, changes=changes('action = "announce"\n'))
    run_night(settings)
    for number in range(TRAINED, NIGHT):
        write_day(root, number, heavier(number))
        run_night(settings)
    run = full_night(settings, root)
    assert (run["verdict"], run["challenger_id"]) == ("refit", None)
    return settings, root


def test_an_announced_verdict_leads_to_one_training_and_counts_as_the_last_attempt(prefect_server, announced):
    from flows import train

    settings, root = announced
    champion = rows(settings, "champion")[0]["champion_id"]
    night = train.run(str(root / "birds.toml"), day(NIGHT).isoformat())  # as a server gives it: text
    run = last_run(settings)
    assert run["run_id"] == night.plan.run_id
    assert run["action"] == run["verdict"] == "refit"
    assert rows(settings, "champion")[0]["champion_id"] == run["challenger_id"] != champion
    before = contents(settings)
    assert train.run(str(root / "birds.toml"), day(NIGHT)).plan.state == "published"
    assert run_night(settings).plan.state == "published"
    assert contents(settings) == before
    write_day(root, NIGHT + 1, heavier(NIGHT + 1))
    run_night(settings)
    assert last_run(settings)["model_id"] == run["challenger_id"]
    assert "window not full: 1 of 4 nights" in decided(settings, day(NIGHT + 1))["reason"]
    before = contents(settings)
    assert train.run(str(root / "birds.toml"), day(NIGHT)).release is None
    assert contents(settings) == before


def test_without_drift_there_is_nothing_to_act_upon(prefect_server, tmp_path):
    from flows import train

    write_world(tmp_path, days=1, changes={"[warehouse]": '[drift]\naction = "off"\n\n[warehouse]'})
    with pytest.raises(InvalidInputError, match=r"is not watched.*gmmdask nightly --refit"):
        train.run(str(tmp_path / "birds.toml"))


def test_scoring_announces_what_it_does_not_act_upon(prefect_server, tmp_path):
    import json

    from flows import score

    settings = write_world(tmp_path, days=1)
    run_night(settings)
    write_day(tmp_path, 1)
    score.run(str(tmp_path / "birds.toml"))
    assert json.loads(last_run(settings)["settings"])["drift"]["action"] == "announce"

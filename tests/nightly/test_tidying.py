"""What nobody sees any more goes; what anybody sees, or may still publish, stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gmmdask.nightly import plan_night, run_night, score_night, train_model
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.plan import staging_of
from gmmdask.nightly.tidying import tidy
from tests.nightly.lakes import ROWS, birds, day, write_day, write_world
from tests.nightly.test_night import contents, rows


@pytest.fixture
def settings(tmp_path):
    settings = write_world(tmp_path, days=2)
    run_night(settings)
    return settings


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=2)


def test_labels_that_were_replaced_go_and_the_views_stay(settings, tmp_path):
    write_day(tmp_path, 2)
    run_night(settings)
    write_day(tmp_path, 2, birds(2, n=60))
    run_night(settings)
    before = contents(settings)
    assert len(before["assignments"]) == 3 * ROWS + 60
    assert (tidy(settings).rows, tidy(settings).rows) == (ROWS, 0)
    after = contents(settings)
    assert len(after["assignments"]) == 2 * ROWS + 60
    unchanged = set(before) - {"assignments"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}


def leave_behind(settings) -> None:
    """Stop as a killed process does: nothing is cleared."""
    plan = plan_night(settings)
    staging_of(settings).begin(plan.run_id).write(0, [])


def test_an_attempt_that_was_abandoned_goes_and_a_fresh_one_stays(settings, tmp_path):
    write_day(tmp_path, 2)
    leave_behind(settings)
    assert tidy(settings).attempts == 0, "another process may be writing it"
    assert tidy(settings, now=tomorrow).attempts == 1
    assert staging_of(settings).attempts(plan_night(settings).run_id) == []


def test_a_run_that_waits_for_the_warehouse_stays_however_old(settings, tmp_path):
    write_day(tmp_path, 2)
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    assert tidy(settings, now=tomorrow).attempts == 0
    assert run_night(settings).release is not None
    assert len([row for row in rows(settings, "current_assignments") if row["dt"] == day(2)]) == ROWS

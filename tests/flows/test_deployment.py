"""What a Prefect server knows after `python -m infra.prefect`, applied once or again."""

from __future__ import annotations

import pytest

from gmmdask.errors import SettingsError
from tests.flows.test_nightly import pytestmark as _marks
from tests.nightly.lakes import write_settings

pytestmark = _marks


@pytest.fixture
def applied(prefect_server, tmp_path):
    """Return a function that runs the command, and the deployments that the server then has."""
    from prefect import get_client
    from prefect.client.schemas.sorting import DeploymentSort

    from infra import prefect as infra_prefect

    def run(*options: str) -> list:
        assert infra_prefect.main([str(write_settings(tmp_path)), *options]) == 0
        with get_client(sync_client=True) as client:
            return [
                found
                for found in client.read_deployments(limit=100, sort=DeploymentSort.NAME_ASC)
                if found.name == "birds" and found.entrypoint == "flows.nightly.run"
            ]

    return run


def test_applying_twice_gives_one_deployment_with_the_schedule_and_one_run_at_a_time(applied, tmp_path):
    first = applied("--schedule", "30 3 * * *", "--timezone", "Europe/Vienna")
    second = applied("--schedule", "30 3 * * *", "--timezone", "Europe/Vienna")
    assert [found.id for found in first] == [found.id for found in second]
    (found,) = second
    assert [(one.schedule.cron, one.schedule.timezone, one.active) for one in found.schedules] == [
        ("30 3 * * *", "Europe/Vienna", True)
    ]
    assert found.global_concurrency_limit.limit == 1
    assert found.entrypoint == "flows.nightly.run"
    assert found.parameters == {"settings_file": str(tmp_path / "birds.toml")}


def test_another_schedule_replaces_the_one_before_and_serving_keeps_it(applied):
    from flows.deployment import DAILY, _applied

    applied()
    (found,) = applied("--schedule", "0 5 * * *")
    assert [one.schedule.cron for one in found.schedules] == ["0 5 * * *"]
    assert _applied("birds") == ("0 5 * * *", "UTC")
    assert _applied("fish") == (DAILY, "UTC")


def test_a_deployment_runs_the_night_by_its_entry_point(applied):
    """The name that the server hands to whoever runs it leads to the flow."""
    from prefect.flows import load_flow_from_entrypoint

    (found,) = applied()
    assert load_flow_from_entrypoint(found.entrypoint, use_placeholder_flow=False).name == "gmmdask-nightly"


@pytest.mark.parametrize(
    ("options", "told"),
    [(("--schedule", "every night"), "'every night'"), (("--timezone", "Europe/Wien"), "'Europe/Wien'")],
)
def test_a_schedule_that_means_nothing_is_refused(applied, tmp_path, capsys, options, told):
    from infra import prefect as infra_prefect

    assert infra_prefect.main([str(write_settings(tmp_path)), *options]) == 1
    assert told in capsys.readouterr().err


def test_without_a_server_the_command_says_how_to_start_one(prefect_server):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.deployment import require_server

    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(SettingsError, match="prefect server start"),
    ):
        require_server()


def test_a_server_that_does_not_answer_is_named(applied, tmp_path, capsys):
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from infra import prefect as infra_prefect

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert infra_prefect.main([str(write_settings(tmp_path))]) == 1
    assert "http://127.0.0.1:9/api" in capsys.readouterr().err

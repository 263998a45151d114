"""Tell a Prefect server of a segmentation: the schedule of its nights, its training, and what starts that.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m infra.prefect settings.toml --schedule "0 4 * * *"

Applied again it changes nothing; with another schedule it replaces the old one. Nights and trainings run where
`python -m flows.nightly settings.toml --serve` waits for them, or in the work pool that is named.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import httpx
from prefect.deployments.runner import DeploymentApplyError

from flows.automation import apply_automation
from flows.command import guarded
from flows.deployment import DAILY, deployment_of, require_server, training_deployment_of
from gmmdask.errors import StorageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What a server then knows of a segmentation: its nights, its training, and what starts that."""

    nights: UUID
    training: UUID
    automation: UUID


def apply(settings_file: str, schedule: str = DAILY, *, timezone: str = "UTC", work_pool: str | None = None) -> Applied:
    """Apply the deployments of a segmentation's nights and training, and the automation that starts the training.

    Parameters
    ----------
    settings_file, schedule, timezone, work_pool
        See `flows.deployment.deployment_of`.

    Raises
    ------
    SettingsError
        The settings or the schedule are wrong, or no server is set.
    StorageError
        The server cannot be reached, or refuses.
    """
    address = require_server()
    nights = deployment_of(settings_file, schedule, timezone=timezone, work_pool=work_pool)
    training = training_deployment_of(settings_file, work_pool=work_pool)
    try:
        applied = cast("UUID", nights.apply()), cast("UUID", training.apply())
        automation = apply_automation(str(nights.name), applied[1])
    except (httpx.HTTPError, DeploymentApplyError, RuntimeError) as error:
        raise StorageError(
            f"the Prefect server at {address} did not take all of it ({error}); check PREFECT_API_URL, and apply it again"
        ) from error
    return Applied(nights=applied[0], training=applied[1], automation=automation)


def main(arguments: list[str]) -> int:
    """Apply deployments and automation from the command line."""
    parser = ArgumentParser(prog="python -m infra.prefect")
    parser.add_argument("settings", help="the TOML file that describes the segmentation")
    parser.add_argument("--schedule", metavar="CRON", default=DAILY, help=f'when, by default "{DAILY}"')
    parser.add_argument("--timezone", default="UTC", help="of the schedule, such as Europe/Vienna")
    parser.add_argument("--work-pool", help="where the nights run; without it, where flows.nightly --serve waits")
    given = parser.parse_args(arguments)

    def told() -> None:
        found = apply(given.settings, given.schedule, timezone=given.timezone, work_pool=given.work_pool)
        print(f"applied: nights {found.nights}, {given.schedule} {given.timezone}, one run at a time")
        print(f"applied: training {found.training}, started by automation {found.automation}")

    return guarded("infra.prefect", told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Tell a Prefect server of a segmentation's nights: their schedule, and that one runs at a time.

    PREFECT_API_URL=http://127.0.0.1:4200/api python -m infra.prefect settings.toml --schedule "0 4 * * *"

Applied again it changes nothing; with another schedule it replaces the old one. The nights run where
`python -m flows.nightly settings.toml --serve` waits for them, or in the work pool that is named.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import cast
from uuid import UUID

import httpx
from prefect.deployments.runner import DeploymentApplyError

from flows.command import guarded
from flows.deployment import DAILY, deployment_of, require_server
from gmmdask.errors import StorageError


def apply_deployment(
    settings_file: str, schedule: str = DAILY, *, timezone: str = "UTC", work_pool: str | None = None
) -> UUID:
    """Apply the deployment of a segmentation's nights and return its id.

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
    deployment = deployment_of(settings_file, schedule, timezone=timezone, work_pool=work_pool)
    try:
        return cast("UUID", deployment.apply())
    except (httpx.HTTPError, DeploymentApplyError, RuntimeError) as error:
        raise StorageError(
            f"the Prefect server at {address} did not take the deployment ({error}); check PREFECT_API_URL"
        ) from error


def main(arguments: list[str]) -> int:
    """Apply a deployment from the command line."""
    parser = ArgumentParser(prog="python -m infra.prefect")
    parser.add_argument("settings", help="the TOML file that describes the segmentation")
    parser.add_argument("--schedule", metavar="CRON", default=DAILY, help=f'when, by default "{DAILY}"')
    parser.add_argument("--timezone", default="UTC", help="of the schedule, such as Europe/Vienna")
    parser.add_argument("--work-pool", help="where the nights run; without it, where flows.nightly --serve waits")
    given = parser.parse_args(arguments)

    def apply() -> None:
        found = apply_deployment(given.settings, given.schedule, timezone=given.timezone, work_pool=given.work_pool)
        print(f"applied: {found}, {given.schedule} {given.timezone}, one run at a time")

    return guarded("infra.prefect", apply)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

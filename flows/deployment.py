"""The nights of a segmentation, and its training, as Prefect deployments: one name, one run at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from prefect import get_client, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from flows import nightly, train
from gmmdask.errors import SettingsError
from gmmdask.settings import Settings, load_settings

DAILY = "0 4 * * *"
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def deployment_of(
    settings_file: str, schedule: str | None = None, *, timezone: str = "UTC", work_pool: str | None = None
) -> RunnerDeployment:
    """Describe the deployment of a segmentation's nights, named after it. Applies nothing.

    Parameters
    ----------
    settings_file : str
        The TOML file, by a path that is good where the nights run.
    schedule : str, optional
        Cron expression; by default every day at four.
    timezone : str, default "UTC"
        Of the schedule.
    work_pool : str, optional
        Where the nights run; without it they wait for `python -m flows.nightly --serve`.

    Raises
    ------
    SettingsError
        The settings are wrong, or the schedule cannot be understood.
    """
    settings = load_settings(settings_file)
    expression = schedule or DAILY
    try:
        described = nightly.run.to_deployment(
            schedule=Cron(expression, timezone=timezone),
            description=f"Nights of {settings.segmentation.name}: fit where needed, score, publish.",
            **_common(settings, settings_file, work_pool),
        )
        return cast("RunnerDeployment", described)
    except ValueError as error:
        raise SettingsError(f"the schedule {expression!r} in {timezone!r} cannot be used: {error}") from error


def training_deployment_of(settings_file: str, *, work_pool: str | None = None) -> RunnerDeployment:
    """Describe the deployment of a segmentation's announced trainings, without a schedule. Applies nothing.

    Parameters
    ----------
    settings_file, work_pool
        See `deployment_of`.

    Raises
    ------
    SettingsError
        The settings are wrong.
    """
    settings = load_settings(settings_file)
    described = train.run.to_deployment(
        description=f"Runs a night of {settings.segmentation.name} that announced a training once more, and trains.",
        **_common(settings, settings_file, work_pool),
    )
    return cast("RunnerDeployment", described)


def _common(settings: Settings, settings_file: str, work_pool: str | None) -> dict[str, Any]:
    """Return what the deployments of a segmentation have in common."""
    return {
        "name": settings.segmentation.name,
        "concurrency_limit": ONE_AT_A_TIME,
        "parameters": {"settings_file": str(Path(settings_file).resolve())},
        "entrypoint_type": EntrypointType.MODULE_PATH,
        **({} if work_pool is None else {"work_pool_name": work_pool}),
    }


def require_server() -> str:
    """Return the address of the Prefect server.

    Raises
    ------
    SettingsError
        None is set.
    """
    address = cast("str | None", PREFECT_API_URL.value())
    if not address:
        raise SettingsError(
            "no Prefect server is set; start one with `prefect server start`, and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api (or the address of yours)"
        )
    return address


def serve_nights(settings_file: str, schedule: str | None = None) -> None:
    """Run the scheduled nights of a segmentation on this machine, and trainings that are asked for, until interrupted.

    Parameters
    ----------
    settings_file : str
        The TOML file.
    schedule : str, optional
        Cron expression; by default the one that the server has, else every day at four.

    Raises
    ------
    SettingsError
        No Prefect server is set, or the settings are wrong.
    """
    require_server()
    expression, timezone = (schedule, "UTC") if schedule else _applied(load_settings(settings_file).segmentation.name)
    nights = deployment_of(settings_file, expression, timezone=timezone)
    serve(nights, training_deployment_of(settings_file), limit=1, pause_on_shutdown=False)


def _applied(segmentation: str) -> tuple[str, str]:
    """Return the schedule and timezone that the server knows, so that serving does not change them."""
    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{nightly.run.name}/{segmentation}").schedules
        except ObjectNotFound:
            known = []
    found = [one.schedule for one in known if isinstance(one.schedule, CronSchedule)]
    return (found[0].cron, found[0].timezone or "UTC") if found else (DAILY, "UTC")

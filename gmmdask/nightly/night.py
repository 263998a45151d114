"""Publish a staged night, and the whole night in one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gmmdask.engine import Engine
from gmmdask.errors import WarehouseError
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.plan import NightPlan, plan_night, staging_of, warehouse_of
from gmmdask.nightly.score import score_night
from gmmdask.nightly.train import train_model
from gmmdask.settings import Cluster, Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Release
from gmmdask.warehouse.port import pass_by

EngineOpener = Callable[[Cluster], AbstractContextManager[Engine]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Night:
    """What became of a night.

    Parameters
    ----------
    plan : NightPlan
    release : Release, optional
        What was published; None where nothing was to be done.
    """

    plan: NightPlan
    release: Release | None = None


def run_night(
    settings: Settings,
    dt: date | None = None,
    *,
    progress: Progress | None = None,
    engines: EngineOpener = open_engine,
) -> Night:
    """Run a night from plan to publication; run again, it finds what is done and does the rest.

    Parameters
    ----------
    settings : Settings
    dt : datetime.date, optional
        The night's date; by default the last date of the lake.
    progress : callable, optional
        Told of stages as `gmmdask.training.results.Progress` says.
    engines : callable
        Opens the engine of `[cluster]`.

    Raises
    ------
    WarehouseBusyError
        Everything is computed and staged, but others hold the warehouse open.
    GmmdaskError
        Anything else went wrong; nothing was published.
    """
    plan = plan_night(settings, dt)
    if plan.state == "due":
        with engines(settings.cluster) as engine:
            training = train_model(plan, settings, engine, progress)
            score_night(plan, settings, training, engine, progress)
    return publish_night(plan, settings, progress)


def publish_night(
    plan: NightPlan,
    settings: Settings,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Publish what is staged of a night, unless it is published already, and clear its staging.

    Raises
    ------
    WarehouseBusyError
        Others hold the warehouse open; the night stays staged.
    WarehouseError
        Nothing is staged, or the warehouse refuses; nothing was published.
    """
    if plan.state in ("published", "nothing new"):
        return Night(plan=plan)
    staging = staging_of(settings)
    attempt = staging.complete(plan.run_id)
    if attempt is None:
        raise WarehouseError(f"run {plan.run_id} of {plan.dt} is not staged completely: score it again, then publish")
    release = attempt.load()
    dates = len(release.publications)
    if progress is not None:
        progress("publish", 0, 1, f"{dates} dates")
    _create_folder(settings)
    warehouse_of(settings).publish(release, at=at)
    at("published")
    staging.remove(plan.run_id)
    if progress is not None:
        progress("publish", 1, 1, f"{dates} dates")
    return Night(plan=plan, release=release)


def _create_folder(settings: Settings) -> None:
    Path(settings.warehouse.uri.removeprefix("duckdb://")).parent.mkdir(parents=True, exist_ok=True)

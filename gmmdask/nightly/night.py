"""Publish what is staged, and a whole night or rescoring in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from gmmdask.engine import Engine
from gmmdask.errors import InvalidInputError, StorageError, WarehouseBusyError, WarehouseError
from gmmdask.nightly.alerts import Delivery, deliver_alerts
from gmmdask.nightly.cost import Cost, metered
from gmmdask.nightly.delivery import Channel
from gmmdask.nightly.engines import open_engine
from gmmdask.nightly.plan import NightPlan, plan_night, plan_overdue, plan_rescore, staging_of, warehouse_of
from gmmdask.nightly.reporting import Report, write_missing_reports
from gmmdask.nightly.score import already_published, score_night
from gmmdask.nightly.segments import PATIENCE, named
from gmmdask.nightly.train import train_model
from gmmdask.nightly.trend import Trend, renew_trend
from gmmdask.settings import Cluster, Settings
from gmmdask.training.results import Progress
from gmmdask.warehouse import Attempt, Release
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
    repeats : tuple of Night
        The runs that labelled late and rewritten dates.
    resumed : tuple of Release
        What earlier invocations had computed and this one published first.
    cost : Cost, optional
        Time and memory of all of it.
    reports : tuple of Report
        Those that were written, or could not be.
    trend : Trend, optional
        The page over all nights; None where it is turned off.
    deliveries : tuple of Delivery
        Alerts that were told, or could not be.
    """

    plan: NightPlan
    release: Release | None = None
    repeats: tuple[Night, ...] = ()
    resumed: tuple[Release, ...] = ()
    cost: Cost | None = None
    reports: tuple[Report, ...] = ()
    trend: Trend | None = None
    deliveries: tuple[Delivery, ...] = ()


def run_night(
    settings: Settings,
    dt: date | None = None,
    *,
    refit: bool = False,
    progress: Progress | None = None,
    engines: EngineOpener = open_engine,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Run a night from plan to publication and alerts; run again, it finds what is done and does the rest.

    What waits to be published is published first. After the night, dates before it that came late or were rewritten are
    labelled by the champion in force before them; then the trend page is renewed, and what wants attention is told.

    Parameters
    ----------
    settings : Settings
    dt : datetime.date, optional
        The night's date; by default the last date of the lake.
    refit : bool, default False
        Train a new champion.
    progress : callable, optional
        Told of stages as `gmmdask.training.results.Progress` says.
    engines : callable
        Opens the engine of `[cluster]`.
    at : callable
        Called with the name of every point at which a crash must do no harm.

    Raises
    ------
    WarehouseBusyError
        Everything is computed and staged, but others hold the warehouse open.
    WarehouseError
        They do, and an earlier run still waits for them, so that nothing of this night was done.
    GmmdaskError
        Anything else went wrong; nothing was published of the run that failed.
    """
    with metered(f"the night of {settings.segmentation.name}") as meter:
        night = conclude_night(_whole_night(settings, dt, refit, progress, engines, at), settings, at=at)
    return replace(night, cost=meter.cost)


def _whole_night(
    settings: Settings,
    dt: date | None,
    refit: bool,
    progress: Progress | None,
    engines: EngineOpener,
    at: Callable[[str], None],
) -> Night:
    resumed = publish_before(lambda own: plan_night(own, dt, refit=refit), settings, progress, at=at)
    at("resumed")
    early = write_missing_reports(settings, at=at)
    plan = plan_night(settings, dt, refit=refit)
    at("planned")
    night = run_plan(plan, settings, progress, engines=engines, at=at)
    if plan.overdue:
        plans = plan_overdue(settings, plan)
        at("overdue planned")
        night = replace(
            night, repeats=tuple(run_plan(late, settings, progress, engines=engines, at=at) for late in plans)
        )
    own = next((release for release in resumed if release.run_id == plan.run_id), None)
    others = tuple(release for release in resumed if release is not own)
    return replace(night, release=night.release or own, resumed=others, reports=merged(early, night.reports))


def rescore_dates(
    settings: Settings,
    first: date,
    last: date,
    *,
    progress: Progress | None = None,
    engines: EngineOpener = open_engine,
) -> Night:
    """Label the published dates from first to last anew, by the present champion; it stays what it is.

    Raises
    ------
    InvalidInputError
        None of these dates was published.
    WarehouseBusyError, GmmdaskError
        As `run_night`.
    """
    with metered(f"the rescoring of {settings.segmentation.name}") as meter:
        resumed = publish_before(lambda own: plan_rescore(own, first, last), settings, progress)
        night = run_plan(plan_rescore(settings, first, last), settings, progress, engines=engines)
        night = conclude_night(night, settings)
    own = next((release for release in resumed if release.run_id == night.plan.run_id), None)
    return replace(night, release=night.release or own, cost=meter.cost)


def conclude_night(
    night: Night,
    settings: Settings,
    channels: Mapping[str, Channel] | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Renew the trend page and deliver alerts, once all is published. Never raises: what fails is told by the result.

    Parameters
    ----------
    night : Night
    settings : Settings
    channels : mapping of str to callable, optional
        See `gmmdask.nightly.alerts.deliver_alerts`.
    at : callable
        Called with the name of every point at which a crash must do no harm.
    """
    trend = renew_trend(settings, at=at)
    return replace(night, trend=trend, deliveries=deliver_alerts(settings, channels))


def merged(earlier: Iterable[Report], later: Iterable[Report]) -> tuple[Report, ...]:
    """Return what became of every report in the end."""
    return tuple({report.run_id: report for report in (*earlier, *later)}.values())


def run_plan(
    plan: NightPlan,
    settings: Settings,
    progress: Progress | None = None,
    *,
    engines: EngineOpener = open_engine,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Do what a plan says, from training to publication; raises as `run_night`."""
    if plan.state == "due":
        with engines(settings.cluster) as engine:
            training = train_model(plan, settings, engine, progress, at=at)
            score_night(plan, settings, training, engine, progress, at=at)
    night = publish_night(plan, settings, progress, at=at)
    return replace(night, reports=write_missing_reports(settings, at=at))


def publish_waiting(
    settings: Settings, progress: Progress | None = None, *, at: Callable[[str], None] = pass_by
) -> list[Release]:
    """Publish what earlier invocations computed and could not publish, the earliest dates first; computes nothing.

    Raises
    ------
    WarehouseBusyError
        Others still hold the warehouse open; everything stays staged.
    WarehouseError
        The warehouse refuses; nothing was published.
    """
    waiting = [_loaded(attempt) for attempt in staging_of(settings).waiting()]
    own = [release for release in waiting if release is not None and release.segmentation == settings.segmentation.name]
    ordered = sorted(own, key=lambda release: max(publication.dt for publication in release.publications))
    return [named(release, settings) for release in ordered if _publish(release, settings, progress, at)]


def publish_before(
    request: Callable[[Settings], NightPlan],
    settings: Settings,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> list[Release]:
    """Publish what waits before something new is done: what that is planned on depends on what is published.

    Parameters
    ----------
    request : callable
        Plans what is asked for; called where the warehouse is busy.
    settings : Settings
    progress : callable, optional
    at : callable

    Raises
    ------
    WarehouseBusyError
        Others hold the warehouse open, and what is asked for is itself among what waits.
    WarehouseError
        Others hold it open, and nothing was done of what is asked for; or as `publish_waiting`.
    """
    try:
        return publish_waiting(settings, progress, at=at)
    except WarehouseBusyError as error:
        timeout = min(PATIENCE, settings.warehouse.publish_timeout)  # it was waited for already
        warehouse = settings.warehouse.model_copy(update={"publish_timeout": timeout})
        if _waits(settings.model_copy(update={"warehouse": warehouse}), request):
            raise
        raise WarehouseError(
            f"an earlier run still waits to be published, so nothing was done of what is asked for now: {error}"
        ) from error


def _waits(settings: Settings, request: Callable[[Settings], NightPlan]) -> bool:
    """Return whether what is asked for is computed, and lacks nothing but its publication."""
    plan = request(settings)
    late = plan_overdue(settings, plan) if plan.overdue else []
    return plan.state != "due" and any(one.state == "staged" for one in (plan, *late))


def publish_night(
    plan: NightPlan,
    settings: Settings,
    progress: Progress | None = None,
    *,
    at: Callable[[str], None] = pass_by,
) -> Night:
    """Publish what is staged of a run, unless it is published already, and clear its staging.

    Raises
    ------
    WarehouseBusyError
        Others hold the warehouse open; the run stays staged.
    WarehouseError
        Nothing is staged, another process published the same run meanwhile, or the warehouse refuses; nothing was
        published.
    """
    if plan.state in ("published", "nothing new"):
        return Night(plan=plan)
    staging = staging_of(settings)
    attempt = staging.complete(plan.run_id)
    release = None if attempt is None else _loaded(attempt)
    if release is None:
        if warehouse_of(settings).published_run(plan.run_key) is not None:
            staging.remove(plan.run_id)
            raise WarehouseError(already_published(plan))
        raise WarehouseError(f"run {plan.run_id} of {plan.dt} is not staged completely: score it again, then publish")
    if not _publish(release, settings, progress, at) and not _is_published_from(release, settings):
        raise WarehouseError(already_published(plan))
    return Night(plan=plan, release=named(release, settings))


def _loaded(attempt: Attempt) -> Release | None:
    """Return what an attempt holds; None where another process published it meanwhile, and cleared it."""
    try:
        return attempt.load()
    except (StorageError, WarehouseError):
        if attempt.is_complete:
            raise
        return None


def _publish(release: Release, settings: Settings, progress: Progress | None, at: Callable[[str], None]) -> bool:
    """Publish a staged release, clear its staging, and return whether it was still to be published."""
    dates = len(release.publications)
    if progress is not None:
        progress("publish", 0, 1, f"{dates} dates")
    _create_folder(settings)
    staging = staging_of(settings)
    try:
        published = warehouse_of(settings).publish(release, at=at)
    except InvalidInputError:
        staging.remove(str(release.run_id))  # what is refused now is refused for ever, and must not stop later nights
        raise
    at("published")
    staging.remove(str(release.run_id))
    at("staging cleared")
    if progress is not None:
        progress("publish", 1, 1, f"{dates} dates")
    return published


def _is_published_from(release: Release, settings: Settings) -> bool:
    """Return whether the run in the warehouse is this very computation of it, published by a call that was cut short."""
    (run,) = release.tables["runs"].select(["run_id", "started_at"]).to_pylist()
    found = warehouse_of(settings).query("SELECT started_at FROM runs WHERE run_id = $id", {"id": run["run_id"]})
    return [row["started_at"] for row in found.to_pylist()] == [run["started_at"]]


def _create_folder(settings: Settings) -> None:
    Path(settings.warehouse.uri.removeprefix("duckdb://")).parent.mkdir(parents=True, exist_ok=True)

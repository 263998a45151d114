"""The coarse steps of the flows as Prefect tasks: each a call of `gmmdask.nightly`, repeated where that may help.

Dask repeats partitions, Prefect repeats steps. A step that failed is repeated alone, with what the steps before it
returned; and each finds what an earlier attempt completed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar, cast

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException
from prefect.utilities.annotations import quote

from flows import artifacts, events
from gmmdask import nightly
from gmmdask.errors import ClusterError, GmmdaskError, StorageError
from gmmdask.nightly import Night, NightPlan, Report, Training
from gmmdask.nightly.plan import staging_of
from gmmdask.progress import PlainLines
from gmmdask.settings import Settings
from gmmdask.warehouse import Release

T = TypeVar("T")

RETRIES = 2
SECONDS_BETWEEN = 30.0


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Return whether repeating a failed step can help: not where data, settings or warehouse must change first."""
    error = state.data
    return not isinstance(error, GmmdaskError) or isinstance(error, StorageError | ClusterError)


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def resume(settings: Settings, dt: date | None, refit: bool = False) -> list[Release]:
    """Publish what earlier runs computed and could not publish, before a night is planned."""
    return nightly.publish_before(lambda own: nightly.plan_night(own, dt, refit=refit), settings, _log())


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def plan(settings: Settings, dt: date | None, refit: bool = False) -> NightPlan:
    """Find out what the night has to do."""
    return nightly.plan_night(settings, dt, refit=refit)


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def plan_overdue(night: NightPlan, settings: Settings) -> list[NightPlan]:
    """Find out how the night's late and rewritten dates are to be labelled."""
    return nightly.plan_overdue(settings, night)


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def train(night: NightPlan, settings: Settings) -> Training:
    """Train a model, or take the one in force."""
    with nightly.open_engine(settings.cluster) as engine:
        training = nightly.train_model(night, settings, engine, _log())
    _show(lambda: artifacts.show_grid(training, settings))
    return training


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def score(night: NightPlan, settings: Settings, training: Training) -> None:
    """Label every row and stage all that is to be published, unless an earlier attempt did."""
    if staging_of(settings).complete(night.run_id) is not None:
        get_run_logger().info("run %s is staged already", night.run_id)
        return
    with nightly.open_engine(settings.cluster) as engine:
        nightly.score_night(night, settings, training, engine, _log())


@task(cache_policy=NO_CACHE, retries=RETRIES, retry_delay_seconds=SECONDS_BETWEEN, retry_condition_fn=may_pass)
def publish(night: NightPlan, settings: Settings) -> Night:
    """Make the night visible."""
    return nightly.publish_night(night, settings, _log())


@task(cache_policy=NO_CACHE)
def report(settings: Settings) -> tuple[Report, ...]:
    """Write the reports that are missing; one that cannot be written costs no night."""
    reports = nightly.write_missing_reports(settings)
    for one in reports:
        if one.trouble:
            get_run_logger().warning("%s: gmmdask report SETTINGS --run %s", one.trouble, one.run_id)
    return reports


@task(cache_policy=NO_CACHE)
def show(night: Night, settings: Settings) -> None:
    """Show on Prefect's pages what was published."""
    _show(lambda: artifacts.show_segments(night, settings))


@task(cache_policy=NO_CACHE)
def conclude(night: Night, settings: Settings) -> Night:
    """Tell Prefect of verdicts, everyone of alerts, and renew the trend page; what fails costs no night."""
    for release in (*night.resumed, *([night.release] if night.release else [])):
        events.tell_verdict(release)
    done = nightly.conclude_night(night, settings, {"prefect": events.tell_alerts})
    if done.trend is not None and done.trend.trouble:
        get_run_logger().warning("%s: gmmdask trend SETTINGS", done.trend.trouble)
    return done


def carry_out(night: NightPlan, settings: Settings) -> Night:
    """Take the steps that a plan asks for, publish, and write the report."""
    if night.state == "due":
        training = train(as_it_is(night), as_it_is(settings))
        score(as_it_is(night), as_it_is(settings), as_it_is(training))
    published = publish(as_it_is(night), as_it_is(settings))
    done = replace(published, reports=report(as_it_is(settings)))
    show(as_it_is(done), as_it_is(settings))
    return done


def as_it_is(value: T) -> T:
    """Keep Prefect from looking for futures inside a value; the task is given the value itself."""
    return cast("T", quote(value))


def _show(draw: Callable[[], None]) -> None:
    """Draw what Prefect's pages show; a server that is away must not cost a training or a night."""
    try:
        draw()
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().warning("the artifact could not be kept: %s", error)


def _log() -> PlainLines:
    return PlainLines(get_run_logger().info)

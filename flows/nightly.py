"""The night as a Prefect flow: one task per coarse step, each a call of `gmmdask.nightly`.

    python -m flows.nightly infra/demo.toml [YYYY-MM-DD]

Dask repeats partitions and this flow repeats steps; every step finds what is done and does the rest.
"""

from __future__ import annotations

import sys
from datetime import date
from typing import TypeVar, cast

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote
from rich.console import Console

from gmmdask import nightly
from gmmdask.cli import EXIT_ERROR, EXIT_STAGED
from gmmdask.errors import GmmdaskError, WarehouseBusyError
from gmmdask.nightly import Night, NightPlan, Training
from gmmdask.nightly.summary import print_night
from gmmdask.progress import PlainLines
from gmmdask.settings import Settings, load_settings

T = TypeVar("T")


@task(cache_policy=NO_CACHE)
def plan(settings: Settings, dt: date | None) -> NightPlan:
    """Find out what the night has to do."""
    return nightly.plan_night(settings, dt)


@task(cache_policy=NO_CACHE)
def train(night: NightPlan, settings: Settings) -> Training:
    """Train a model, or take the one in force."""
    with nightly.open_engine(settings.cluster) as engine:
        return nightly.train_model(night, settings, engine, _log())


@task(cache_policy=NO_CACHE)
def score(night: NightPlan, settings: Settings, training: Training) -> None:
    """Label every row and stage all that is to be published."""
    with nightly.open_engine(settings.cluster) as engine:
        nightly.score_night(night, settings, training, engine, _log())


@task(cache_policy=NO_CACHE)
def publish(night: NightPlan, settings: Settings) -> Night:
    """Make the night visible."""
    return nightly.publish_night(night, settings, _log())


@flow(name="gmmdask-nightly", validate_parameters=False)
def run(settings_file: str, dt: date | None = None) -> Night:
    """Run a night: see `gmmdask.nightly.run_night`.

    Parameters
    ----------
    settings_file : str
        The TOML file that describes the segmentation.
    dt : datetime.date, optional
        The night's date; by default the last of the lake.
    """
    settings = load_settings(settings_file)
    night = plan(_as_it_is(settings), dt)
    if night.state == "due":
        training = train(_as_it_is(night), _as_it_is(settings))
        score(_as_it_is(night), _as_it_is(settings), _as_it_is(training))
    return publish(_as_it_is(night), _as_it_is(settings))


def _as_it_is(value: T) -> T:
    """Keep Prefect from looking for futures inside a value; the task is given the value itself."""
    return cast("T", quote(value))


def _log() -> PlainLines:
    return PlainLines(get_run_logger().info)


def main(arguments: list[str]) -> int:
    """Run one night from the command line; exit codes as those of `gmmdask nightly`."""
    settings_file, *rest = arguments
    try:
        night = run(settings_file, date.fromisoformat(rest[0]) if rest else None)
    except GmmdaskError as error:
        Console(stderr=True).print(f"flows.nightly: {error}", markup=False)
        return EXIT_STAGED if isinstance(error, WarehouseBusyError) else EXIT_ERROR
    print_night(night, load_settings(settings_file), Console())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

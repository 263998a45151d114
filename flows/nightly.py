"""The night as a Prefect flow: one task per coarse step, each a call of `gmmdask.nightly`.

    python -m flows.nightly settings.toml [YYYY-MM-DD]      run it now
    python -m flows.nightly settings.toml --serve           run it whenever the Prefect server says so

A run that failed or was killed is simply run again: every step finds what is done and does the rest.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date

from prefect import flow, get_run_logger
from rich.console import Console

from flows.command import Options, command_line, date_of, guarded
from flows.steps import as_it_is, carry_out, conclude, plan, plan_overdue, report, resume
from gmmdask.nightly import Night, metered
from gmmdask.nightly.night import merged
from gmmdask.nightly.summary import print_night
from gmmdask.settings import Settings, load_settings


@flow(name="gmmdask-nightly", validate_parameters=False)
def run(settings_file: str, dt: date | None = None, refit: bool = False) -> Night:
    """Run a night: see `gmmdask.nightly.run_night`.

    Parameters
    ----------
    settings_file : str
        The TOML file that describes the segmentation.
    dt : datetime.date, optional
        The night's date; by default the last of the lake.
    refit : bool, default False
        Train a new champion.
    """
    settings = load_settings(settings_file)
    with metered("the flow") as meter:
        night = conclude(as_it_is(_carried_out(settings, date_of(dt), refit)), as_it_is(settings))
    get_run_logger().info("the night %s", meter.cost)
    return replace(night, cost=meter.cost)


def _carried_out(settings: Settings, dt: date | None, refit: bool) -> Night:
    resumed = resume(as_it_is(settings), dt, refit)
    early = report(as_it_is(settings))
    planned = plan(as_it_is(settings), dt, refit)
    night = carry_out(planned, settings)
    late = plan_overdue(as_it_is(planned), as_it_is(settings)) if planned.overdue else []
    own = next((release for release in resumed if release.run_id == planned.run_id), None)
    return replace(
        night,
        release=night.release or own,
        repeats=tuple(carry_out(one, settings) for one in late),
        resumed=tuple(release for release in resumed if release is not own),
        reports=merged(early, night.reports),
    )


def main(arguments: list[str]) -> int:
    """Run one night, or serve the nights of a schedule; exit codes as those of `gmmdask nightly`."""
    options = command_line("flows.nightly", nights=True).parse_args(arguments, Options())
    return guarded("flows.nightly", lambda: _serve(options) if options.serve else _run(options))


def _run(options: Options) -> None:
    night = run(options.settings, options.date, options.refit)
    print_night(night, load_settings(options.settings), Console())


def _serve(options: Options) -> None:
    from flows.deployment import serve_nights

    serve_nights(options.settings, options.schedule)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

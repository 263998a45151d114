"""Commands that run nights: `nightly` and `rescore`."""

from __future__ import annotations

import datetime as calendar
from pathlib import Path
from typing import Annotated

import typer

from gmmdask.cli.running import SettingsFile, Verbose, date_of, run


def nightly(
    settings: SettingsFile,
    date: Annotated[
        str | None,
        typer.Option(help="The night's date, as YYYY-MM-DD; by default the last of the lake.", show_default=False),
    ] = None,
    following: Annotated[
        bool, typer.Option("--next", help="The date after the last night; --date says which is the first of all.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train a new champion on all dates up to the night's.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run one night: read what is new, fit where no model is in force, score, publish.

    A night that is published already is left alone. A night that failed or was killed is simply run again. Earlier dates
    that came late or were rewritten are labelled by the champion in force before them.

    Exit codes: 0 done or nothing to do, 1 error, 2 usage, 3 computed but not published, because another process holds
    the warehouse open; run the same command again to publish.
    """
    night = None if date is None else date_of(date, "--date")
    run(lambda: _run_nightly(settings, night, following=following, refit=refit), verbose=verbose, stages=True)


def rescore(
    settings: SettingsFile,
    first: Annotated[str, typer.Option("--from", help="First date to label anew, as YYYY-MM-DD.", show_default=False)],
    last: Annotated[str, typer.Option("--to", help="Last date to label anew.", show_default=False)],
    verbose: Verbose = False,
) -> None:
    """Label dates that were published anew, by the present champion.

    Dates that have its labels already are left alone. Exit codes are those of nightly.
    """
    dates = date_of(first, "--from"), date_of(last, "--to")
    if dates[0] > dates[1]:
        raise typer.BadParameter(f"{first} is after {last}", param_hint="--from")
    run(lambda: _run_rescore(settings, *dates), verbose=verbose, stages=True)


def _run_nightly(path: Path, night: calendar.date | None, *, following: bool, refit: bool) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)  # before the heavier imports: a mistake in it is told at once
    from gmmdask.nightly import next_night, run_night
    from gmmdask.nightly.summary import print_night
    from gmmdask.progress import shown_progress

    if following:
        night = next_night(settings, night)
    with shown_progress() as progress:
        done = run_night(settings, night, refit=refit, progress=progress)
    print_night(done, settings, Console())


def _run_rescore(path: Path, first: calendar.date, last: calendar.date) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly import rescore_dates
    from gmmdask.nightly.summary import print_night
    from gmmdask.progress import shown_progress

    with shown_progress() as progress:
        done = rescore_dates(settings, first, last, progress=progress)
    print_night(done, settings, Console())

"""What every command shares: how settings, dates and verbosity are given, and how it ends. No command lives here.

Exit codes: 0 done or nothing to do, 1 error, 2 usage, 3 staged.
"""

from __future__ import annotations

import datetime as calendar
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

SettingsFile = Annotated[
    Path, typer.Argument(help="The TOML file that describes the segmentation.", show_default=False)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, and show tracebacks.")]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_STAGED = 3


def run(command: Callable[[], None], *, verbose: bool = False, stages: bool = False) -> None:
    """Run a command and leave with its exit code; an error is told in one sentence.

    Parameters
    ----------
    command : callable
        Does and prints everything.
    verbose : bool, default False
        Log to stderr what happens, and let errors through with their tracebacks.
    stages : bool, default False
        Whether the command stages what it computed, so that a busy warehouse means that it waits there.
    """
    if verbose:
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
        logging.getLogger("gmmdask").setLevel(logging.INFO)
    raise typer.Exit(_exit_code(command, verbose, stages))


def date_of(text: str, option: str) -> calendar.date:
    """Return the date that an option says; anything else is wrong usage."""
    try:
        return calendar.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2013-12-31", param_hint=option) from None


def _exit_code(command: Callable[[], None], verbose: bool, stages: bool) -> int:
    from gmmdask.errors import GmmdaskError, WarehouseBusyError

    try:
        command()
    except GmmdaskError as error:
        if verbose:
            raise
        typer.echo(f"gmmdask: {error}", err=True)
        return EXIT_STAGED if stages and isinstance(error, WarehouseBusyError) else EXIT_ERROR
    return 0

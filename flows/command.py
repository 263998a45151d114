"""The command lines of the flows: options in, exit codes out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import date

from rich.console import Console

from gmmdask.cli import EXIT_ERROR, EXIT_STAGED
from gmmdask.errors import GmmdaskError, WarehouseBusyError


class Options(Namespace):
    """What a command line says."""

    settings: str = ""
    date: date | None = None
    refit: bool = False
    serve: bool = False
    schedule: str | None = None


def command_line(name: str, *, nights: bool = False) -> ArgumentParser:
    """Return the parser of a flow's command line.

    Parameters
    ----------
    name : str
        The module.
    nights : bool, default False
        Whether the flow runs nights, which may refit, and can wait for their schedule.
    """
    parser = ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("settings", help="the TOML file that describes the segmentation")
    parser.add_argument("date", nargs="?", type=date.fromisoformat, help="YYYY-MM-DD; by default the last of the lake")
    if nights:
        parser.add_argument("--refit", action="store_true", help="train a new champion")
        parser.add_argument("--serve", action="store_true", help="stay, and run every night that the server schedules")
        parser.add_argument("--schedule", metavar="CRON", help='with --serve: when, such as "0 4 * * *"')
    return parser


def date_of(given: date | str | None) -> date | None:
    """Return a flow's date, which comes from a server as text."""
    return date.fromisoformat(given) if isinstance(given, str) else given


def guarded(name: str, command: Callable[[], None]) -> int:
    """Run a command and return its exit code; an error is told in one sentence."""
    try:
        command()
    except GmmdaskError as error:
        Console(stderr=True).print(f"{name}: {error}", markup=False, soft_wrap=True)
        return EXIT_STAGED if isinstance(error, WarehouseBusyError) else EXIT_ERROR
    return 0

"""Commands about segments: `segments list` and `segments name`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gmmdask.cli.running import SettingsFile, Verbose, run

app = typer.Typer(help="See the segments in force, and give them names.", no_args_is_help=True)


@app.command("list")
def list_segments(settings: SettingsFile, verbose: Verbose = False) -> None:
    """Show the segments in force: ids, names, sizes, and what they look like."""
    run(lambda: _list_segments(settings), verbose=verbose)


@app.command("name")
def name_segment(
    settings: SettingsFile,
    segment: Annotated[int, typer.Argument(metavar="ID", help="The segment's id.", show_default=False)],
    name: Annotated[
        str | None, typer.Argument(help="What it is to be called; put it in quotes.", show_default=False)
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take its name away instead.")] = False,
    verbose: Verbose = False,
) -> None:
    """Give a segment a name, or another one.

    The name stays with the id: views, later nights, reports and summaries show it, and so does a night that is computed
    and waits to be published.
    """
    if (name is None) != clear:
        raise typer.BadParameter("give a name, or --clear to take it away", param_hint="NAME")
    run(lambda: _name_segment(settings, segment, name), verbose=verbose)


def _list_segments(path: Path) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly import read_segments
    from gmmdask.nightly.summary import print_segments

    print_segments(read_segments(settings), settings, Console())


def _name_segment(path: Path, segment_id: int, name: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask import nightly

    report = nightly.name_segment(settings, segment_id, name)
    told = "has no name any more" if name is None else f"is called {' '.join(name.split())!r} from now on"
    typer.echo(f"Segment {segment_id} of {settings.segmentation.name} {told}.")
    if report is not None:
        typer.echo(f"{report.trouble}." if report.trouble else f"Its last report was written again: {report.uri}")

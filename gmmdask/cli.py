"""The command `gmmdask`. Options in, calls of the package, words and exit codes out; no logic of its own.

Exit codes: 0 done or nothing to do, 1 error, 2 usage, 3 staged. What a command needs is imported when it runs.
"""

from __future__ import annotations

import datetime as calendar
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="gmmdask",
    help="Gaussian-mixture segmentation for data lakes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

segments = typer.Typer(help="See the segments in force, and give them names.", no_args_is_help=True)
app.add_typer(segments, name="segments")

SettingsFile = Annotated[
    Path, typer.Argument(help="The TOML file that describes the segmentation.", show_default=False)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, and show tracebacks.")]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_STAGED = 3


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Gaussian-mixture segmentation for data lakes: fit, score and publish, every night."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"gmmdask {installed_version('gmmdask')}")
        raise typer.Exit


@app.command()
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
    night = None if date is None else _date(date, "--date")
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _run_nightly(settings, night, following=following, refit=refit), verbose=verbose))


@app.command()
def rescore(
    settings: SettingsFile,
    first: Annotated[str, typer.Option("--from", help="First date to label anew, as YYYY-MM-DD.", show_default=False)],
    last: Annotated[str, typer.Option("--to", help="Last date to label anew.", show_default=False)],
    verbose: Verbose = False,
) -> None:
    """Label dates that were published anew, by the present champion.

    Dates that have its labels already are left alone. Exit codes are those of nightly.
    """
    dates = _date(first, "--from"), _date(last, "--to")
    if dates[0] > dates[1]:
        raise typer.BadParameter(f"{first} is after {last}", param_hint="--from")
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _run_rescore(settings, *dates), verbose=verbose))


def _date(text: str, option: str) -> calendar.date:
    try:
        return calendar.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2013-12-31", param_hint=option) from None


@app.command()
def report(
    settings: SettingsFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; by default where [report] says.", show_default=False),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="The run to tell of; by default the one published last.", show_default=False)
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the report of a published run again: one HTML file that needs no network.

    Every run writes its own, so this is for one that was lost, or for another place.
    """
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _write_report(settings, output, run), verbose=verbose))


def _write_report(path: Path, output: Path | None, run: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.reporting import report_night

    typer.echo(report_night(settings, output, run))


@app.command()
def trend(
    settings: SettingsFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; by default NAME-trend.html.", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write one page over all nights: segments, drift, models, alerts, rows, durations; it needs no network."""
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _write_trend(settings, output), verbose=verbose))


def _write_trend(path: Path, output: Path | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.trend import write_trend

    typer.echo(write_trend(settings, output))


@app.command()
def export(
    settings: SettingsFile,
    file: Annotated[Path, typer.Argument(help="The joblib file to write.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="Id of a model of the registry; by default the champion.", show_default=False)
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the champion as a scikit-learn pipeline: joblib.load opens it where gmmdask is not installed.

    It takes a DataFrame of raw columns. predict gives segments.position, and segment_ids_ the id at each position; rows
    that would have no segment raise an error.
    """
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _export(settings, file, model), verbose=verbose))


def _export(path: Path, file: Path, model: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly import export_night_model

    typer.echo(f"Wrote model {export_night_model(settings, file, model)} to {file}.")


@app.command()
def init(
    uri: Annotated[str, typer.Argument(help="A folder or bucket of Parquet, partitioned by date.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("settings.toml"),
    id_column: Annotated[
        str | None, typer.Option("--id", help="The column that identifies a row; by default it is looked for.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Look at a bucket or folder of Parquet and write the settings of its nights.

    Reads some rows of some files and writes one TOML file, which runs as it is: measured numbers are clustered, names
    and numbers of few values described, and what is unsafe is left out, with the reason beside it.
    """
    raise typer.Exit(_guarded(lambda: _write_settings(uri, output, id_column, force), verbose=False))


def _write_settings(uri: str, output: Path, id_column: str | None, force: bool) -> None:
    from gmmdask.errors import SettingsError
    from gmmdask.inspection import inspect_lake, summary, write_settings

    if output.exists() and not force:  # before anything is read
        raise SettingsError(f"{output} exists; name another file with -o, or replace it with --force")
    inspection = inspect_lake(uri, id_column=id_column)
    write_settings(inspection, output, force=force)
    for line in summary(inspection):
        typer.echo(line)
    typer.echo(f"Wrote {output}. Read it, then run:  gmmdask nightly {output}")


@segments.command("list")
def list_segments(settings: SettingsFile, verbose: Verbose = False) -> None:
    """Show the segments in force: ids, names, sizes, and what they look like."""
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _list_segments(settings), verbose=verbose))


@segments.command("name")
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
    _log(verbose)
    raise typer.Exit(_guarded(lambda: _name_segment(settings, segment, name), verbose=verbose))


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


def _guarded(command: Callable[[], None], *, verbose: bool) -> int:
    from gmmdask.errors import GmmdaskError, WarehouseBusyError

    try:
        command()
    except GmmdaskError as error:
        if verbose:
            raise
        _tell(error)
        return EXIT_STAGED if isinstance(error, WarehouseBusyError) else EXIT_ERROR
    return 0


def _run_nightly(path: Path, night: calendar.date | None, *, following: bool, refit: bool) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)  # before the heavier imports: a mistake in it is told at once
    from gmmdask.nightly import next_night, run_night
    from gmmdask.nightly.alerts import deliver_alerts
    from gmmdask.nightly.summary import print_night
    from gmmdask.progress import shown_progress

    if following:
        night = next_night(settings, night)
    with shown_progress() as progress:
        done = run_night(settings, night, refit=refit, progress=progress)
    print_night(done, settings, Console())
    deliver_alerts(settings)


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


def _tell(error: Exception) -> None:
    typer.echo(f"gmmdask: {error}", err=True)


def _log(verbose: bool) -> None:
    if verbose:
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
        logging.getLogger("gmmdask").setLevel(logging.INFO)


def main() -> None:
    """Run the command."""
    app()

"""Commands that look at what there is and write it down: `init`, `report`, `trend`, `drift`, `export`, `tidy`. None runs a night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gmmdask.cli.running import SettingsFile, Verbose, run


def report(
    settings: SettingsFile,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Where to write; by default where the settings put reports.", show_default=False
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        typer.Option("--run", help="The run to tell of; by default the one published last.", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the report of a published run again: one HTML file that needs no network.

    Every run writes its own, so this is for one that was lost, or for another place.
    """
    run(lambda: _write_report(settings, output, run_id), verbose=verbose)


def trend(
    settings: SettingsFile,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Where to write; by default NAME-trend.html.", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write one page over all nights: segments, drift, models, alerts, rows, durations; it needs no network."""
    run(lambda: _write_trend(settings, output), verbose=verbose)


def drift(
    settings: SettingsFile,
    nights: Annotated[int, typer.Option("--nights", "-n", min=1, help="How many nights to show.")] = 14,
    verbose: Verbose = False,
) -> None:
    """Show how the last nights were judged: the verdict, G and up to where it is ordinary, and what alarmed.

    G is what one step of retraining on the last nights would surely gain. Verdicts are keep, warm-start and refit;
    beside the last two stands what became of them. The latest night's reasons are told in words.
    """
    run(lambda: _show_drift(settings, nights), verbose=verbose)


def tidy(settings: SettingsFile, verbose: Verbose = False) -> None:
    """Remove labels that no reader sees any more, and what killed runs left in staging.

    Runs, models and reports stay, and so does a run that is computed and waits to be published. Safe at any time.
    """
    run(lambda: _tidy(settings), verbose=verbose)


def export(
    settings: SettingsFile,
    file: Annotated[str, typer.Argument(help="The joblib file to write, or its address.", show_default=False)],
    model: Annotated[
        str | None,
        typer.Option(help="The beginning of its id, or previous; by default the champion.", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write the champion as a scikit-learn pipeline: joblib.load opens it where gmmdask is not installed.

    It takes a DataFrame of raw columns. predict gives segments.position, and segment_ids_ the id at each position; rows
    that would have no segment raise an error.
    """
    run(lambda: _export(settings, file, model), verbose=verbose)


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
    run(lambda: _write_settings(uri, output, id_column, force))


def _write_report(path: Path, output: str | None, run_id: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.reporting import report_night

    typer.echo(report_night(settings, output, run_id))


def _write_trend(path: Path, output: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.trend import write_trend

    typer.echo(write_trend(settings, output))


def _show_drift(path: Path, nights: int) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.cli.drift_table import print_judged
    from gmmdask.nightly.judged import read_judged

    print_judged(read_judged(settings, nights), settings, Console())


def _tidy(path: Path) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly import tidying

    gone = tidying.tidy(settings)
    typer.echo(f"Removed {gone.rows:,} rows of superseded labels and {gone.attempts:,} abandoned attempts.")


def _export(path: Path, file: str, model: str | None) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly import export_night_model

    typer.echo(f"Wrote model {export_night_model(settings, file, model)} to {file}.")


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

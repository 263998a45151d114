"""Commands about models: `models list`, `show`, `diff`, `promote` and `rollback`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmmdask.cli.running import SettingsFile, Verbose, run

if TYPE_CHECKING:
    from gmmdask.nightly import Night
    from gmmdask.settings import Settings
    from gmmdask.training.results import Progress

app = typer.Typer(help="See the models of a segmentation, and choose which is in force.", no_args_is_help=True)

NAMED = "The beginning of its id, or champion, or previous."
Model = Annotated[str, typer.Argument(metavar="MODEL", help=NAMED, show_default=False)]


@app.command("list")
def list_models(settings: SettingsFile, verbose: Verbose = False) -> None:
    """Show every model: the champion first, then those that were in force or were trained and lost."""
    run(lambda: _list_models(settings), verbose=verbose)


@app.command("show")
def show_model(
    settings: SettingsFile,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=NAMED)] = "champion",
    verbose: Verbose = False,
) -> None:
    """Show a model: where it came from, its preparation, its segments, and what later nights are judged by."""
    run(lambda: _show_model(settings, model), verbose=verbose)


@app.command("diff")
def diff_models(
    settings: SettingsFile,
    old: Annotated[str, typer.Argument(metavar="OLD", help=NAMED)] = "previous",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The other one, in the same words.")] = "champion",
    verbose: Verbose = False,
) -> None:
    """Tell in sentences what changed from one model to another: structure, preparation, segment by segment."""
    run(lambda: _diff_models(settings, old, new), verbose=verbose)


@app.command()
def promote(settings: SettingsFile, model: Model, verbose: Verbose = False) -> None:
    """Make a model the champion: it labels the nights from the one after the last on.

    Labels that were published stay as they are; gmmdask rescore changes them. Exit codes are those of nightly.
    """
    run(lambda: _promote(settings, model), verbose=verbose, stages=True)


@app.command()
def rollback(settings: SettingsFile, verbose: Verbose = False) -> None:
    """Make the previous champion the champion again; done twice, it is taken back.

    Labels that were published stay as they are; gmmdask rescore changes them. Exit codes are those of nightly.
    """
    run(lambda: _rollback(settings), verbose=verbose, stages=True)


def _list_models(path: Path) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.cli.model_tables import print_models
    from gmmdask.nightly import champions

    print_models(champions.list_models(settings), settings, Console())


def _show_model(path: Path, name: str) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.cli.model_tables import print_model
    from gmmdask.nightly.champions import find_known_model, find_model
    from gmmdask.nightly.model import load_night_model
    from gmmdask.nightly.segments import segment_names

    known = find_known_model(settings, find_model(settings, name))
    model = known.model or load_night_model(settings, known.model_id)  # which tells why it cannot be had
    print_model(known, model, segment_names(settings), settings, Console())


def _diff_models(path: Path, old: str, new: str) -> None:
    from rich.console import Console

    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.cli.tables import sentences
    from gmmdask.nightly.champions import differences, find_model
    from gmmdask.nightly.model import load_night_model

    ids = [find_model(settings, name) for name in (old, new)]
    before, after = (load_night_model(settings, model_id) for model_id in ids)
    typer.echo(f"From model {ids[0]} to {ids[1]}:")
    told = differences(before, after)
    Console().print(sentences(told or ["nothing changed in structure, preparation and segments"]))


def _promote(path: Path, name: str) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.champions import find_model, promote_model

    model_id = find_model(settings, name)
    _change(path, settings, lambda progress: promote_model(settings, model_id, progress))


def _rollback(path: Path) -> None:
    from gmmdask.settings import load_settings

    settings = load_settings(path)
    from gmmdask.nightly.champions import rollback_champion

    _change(path, settings, lambda progress: rollback_champion(settings, progress))


def _change(path: Path, settings: Settings, change: Callable[[Progress], Night]) -> None:
    """Change the champion, and say what is in force now."""
    from gmmdask.cli.model_tables import told_in_force
    from gmmdask.nightly.champions import history_of
    from gmmdask.progress import shown_progress

    with shown_progress() as progress:
        night = change(progress)
    for line in told_in_force(history_of(settings), settings, path, is_new=night.plan.state != "published"):
        typer.echo(line)

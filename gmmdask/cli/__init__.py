"""The command `gmmdask`. Options in, calls of the package, words and exit codes out; no logic of its own.

One module for each family of commands; what a command needs is imported when it runs. This one says which there are.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gmmdask.cli import look, models, nights, segments
from gmmdask.cli.running import EXIT_ERROR, EXIT_STAGED, EXIT_USAGE

__all__ = ["EXIT_ERROR", "EXIT_STAGED", "EXIT_USAGE", "app", "main"]

app = typer.Typer(
    name="gmmdask",
    help="Gaussian-mixture segmentation for data lakes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Gaussian-mixture segmentation for data lakes: fit, score and publish, every night."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"gmmdask {installed_version('gmmdask')}")
        raise typer.Exit


for command in (
    nights.nightly,
    nights.rescore,
    look.report,
    look.trend,
    look.drift,
    look.export,
    look.init,
    look.tidy,
):
    app.command()(command)
app.add_typer(segments.app, name="segments")
app.add_typer(models.app, name="models")


def main() -> None:
    """Run the command."""
    app()

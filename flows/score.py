"""Scoring alone as a Prefect flow: a date labelled by the model in force before it. Never trains; a verdict is announced.

python -m flows.score settings.toml [YYYY-MM-DD]
"""

from __future__ import annotations

import sys
from datetime import date

from prefect import flow
from rich.console import Console

from flows.command import Options, command_line, date_of, guarded
from flows.steps import as_it_is, carry_out, conclude, plan
from gmmdask.errors import InvalidInputError
from gmmdask.nightly import Night
from gmmdask.nightly.summary import print_night
from gmmdask.nightly.watch import with_drift_action
from gmmdask.settings import Settings, load_settings


@flow(name="gmmdask-score", validate_parameters=False)
def run(settings_file: str, dt: date | None = None) -> Night:
    """Label a date by the model in force before it, and publish.

    Parameters
    ----------
    settings_file : str
        The TOML file that describes the segmentation.
    dt : datetime.date, optional
        The date; by default the last of the lake.

    Raises
    ------
    InvalidInputError
        No model is in force, or the night of this date trained one.
    """
    settings = _announcing(load_settings(settings_file))
    night = plan(as_it_is(settings), date_of(dt))
    if night.state == "due" and night.action != "keep":
        raise InvalidInputError(
            f"no model of {settings.segmentation.name!r} was in force before {night.dt}; run its night, which trains"
        )
    return conclude(as_it_is(carry_out(night, settings)), as_it_is(settings))


def _announcing(settings: Settings) -> Settings:
    return with_drift_action(settings, "announce") if settings.drift.action == "act" else settings


def main(arguments: list[str]) -> int:
    """Score one date; exit codes as those of `gmmdask nightly`."""
    options = command_line("flows.score").parse_args(arguments, Options())
    return guarded("flows.score", lambda: _run(options))


def _run(options: Options) -> None:
    night = run(options.settings, options.date)
    print_night(night, load_settings(options.settings), Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

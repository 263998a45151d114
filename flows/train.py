"""Training alone as a Prefect flow: a new model in the registry. Publishes nothing and changes no champion.

python -m flows.train settings.toml [YYYY-MM-DD]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date

from prefect import flow
from rich.console import Console

from flows.command import Options, command_line, date_of, guarded
from flows.steps import as_it_is, keep, plan, train
from gmmdask.errors import InvalidInputError
from gmmdask.nightly import Training
from gmmdask.settings import load_settings


@flow(name="gmmdask-train", validate_parameters=False)
def run(settings_file: str, dt: date | None = None) -> Training:
    """Train a model on the dates up to dt, whatever model is in force, and keep it in the registry.

    Parameters
    ----------
    settings_file : str
        The TOML file that describes the segmentation.
    dt : datetime.date, optional
        The last date to train on; by default the last of the lake.

    Raises
    ------
    InvalidInputError
        The lake has no partition of that date.
    """
    settings = load_settings(settings_file)
    night = plan(as_it_is(settings), date_of(dt))
    if night.state == "nothing new":
        raise InvalidInputError(f"the lake has no partition of {night.dt}; name one of its dates")
    anew = replace(night, action="first", champion_id=None)
    training = train(as_it_is(anew), as_it_is(settings))
    keep(as_it_is(settings), as_it_is(training))
    return training


def main(arguments: list[str]) -> int:
    """Train once; exit codes as those of `gmmdask nightly`."""
    options = command_line("flows.train").parse_args(arguments, Options())
    return guarded("flows.train", lambda: _run(options))


def _run(options: Options) -> None:
    training = run(options.settings, options.date)
    Console().print(f"Model {training.model.model_id}, {training.rows:,} rows", highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

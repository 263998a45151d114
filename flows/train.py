"""An announced verdict acted upon, as a Prefect flow: the night once more, which now trains what it calls for.

    python -m flows.train settings.toml [YYYY-MM-DD]

The night is judged again; the challenger passes the gate or not, labels the night if it does, and the night counts as the
last attempt from then on. Run again, it finds all of that done.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date

from prefect import flow, get_run_logger
from rich.console import Console

from flows.command import Options, command_line, date_of, guarded
from flows.steps import as_it_is, carry_out, conclude, plan, resume
from gmmdask.errors import InvalidInputError
from gmmdask.nightly import Night
from gmmdask.nightly.summary import print_night
from gmmdask.nightly.watch import with_drift_action
from gmmdask.settings import load_settings


@flow(name="gmmdask-train", validate_parameters=False)
def run(settings_file: str, dt: date | None = None) -> Night:
    """Run a night that announced its verdict once more, acting on it; nothing is done where later nights were judged.

    Parameters
    ----------
    settings_file : str
        The TOML file that describes the segmentation.
    dt : datetime.date, optional
        The night's date; by default the last of the lake.

    Raises
    ------
    InvalidInputError
        Drift is not watched, or the lake has no partition of that date.
    """
    settings = load_settings(settings_file)
    if settings.drift.action == "off":
        raise InvalidInputError(
            f"drift of {settings.segmentation.name!r} is not watched ([drift] action), so nothing calls for a training; "
            "train by gmmdask nightly --refit"
        )
    acting = with_drift_action(settings, "act")
    resumed = resume(as_it_is(acting), date_of(dt))
    night = plan(as_it_is(acting), date_of(dt))
    if night.state == "nothing new":
        raise InvalidInputError(f"the lake has no partition of {night.dt}; name one of its dates")
    if night.kind != "night":
        get_run_logger().info("%s has been followed by later decisions, so nothing is trained for it", night.dt)
        return Night(plan=night, resumed=tuple(resumed))
    done = replace(carry_out(night, acting), resumed=tuple(resumed))
    return conclude(as_it_is(done), as_it_is(acting))


def main(arguments: list[str]) -> int:
    """Act on one night; exit codes as those of `gmmdask nightly`."""
    options = command_line("flows.train").parse_args(arguments, Options())
    return guarded("flows.train", lambda: _run(options))


def _run(options: Options) -> None:
    night = run(options.settings, options.date)
    print_night(night, load_settings(options.settings), Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

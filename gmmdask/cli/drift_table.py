"""What is printed of nights that were judged for drift. Reads values; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from gmmdask.cli.tables import facts, sentences, table
from gmmdask.nightly.judged import JudgedNight
from gmmdask.settings import Settings

COLUMNS = ("night", "verdict", "G", "ordinary", "alarms")


def print_judged(nights: Sequence[JudgedNight], settings: Settings, console: Console) -> None:
    """Print one row for each night, the latest last, and of the latest why.

    Parameters
    ----------
    nights : sequence of JudgedNight
        The latest first.
    settings : Settings
    console : Console
    """
    name, action = settings.segmentation.name, settings.drift.action
    if not nights:
        why = (
            'nothing is watched: [drift] action = "off"'
            if action == "off"
            else "a champion is judged from its second night on"
        )
        console.print(f"No night of {name} was judged yet; {why}.", markup=False, highlight=False, soft_wrap=True)
        return
    console.print(table(COLUMNS, map(_row, reversed(nights)), left=("night", "verdict", "alarms")))
    console.print("G: what a step of retraining would surely gain, in nats per row of the window", style="dim")
    latest = nights[0]
    console.print(facts([(f"{latest.dt}", latest.reason)]))
    console.print(sentences(str(row["reason"]) for row in latest.alarms if row["reason"]))


def _row(night: JudgedNight) -> list[str]:
    verdict = f"{night.verdict}: {night.outcome}" if night.outcome else night.verdict
    return [night.dt.isoformat(), verdict, _number(night.gain), _number(night.ordinary), night.told_alarms]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"

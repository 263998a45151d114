"""How far a long command is: bars on a terminal, plain lines with the time in a log. Nothing here computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from gmmdask.training.results import Progress as Report

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[Report]:
    """Show progress for the length of a block.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where; by default the standard error stream.

    Yields
    ------
    callable
        ``report(stage, done, total, detail)``; see `gmmdask.training.results.Progress`.
    """
    place = console or Console(stderr=True)
    if not place.is_terminal:
        yield PlainLines(lambda line: place.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    bars = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
        console=place,
    )
    with bars:
        yield Bars(bars)


class Bars:
    """One bar per stage, and remarks above the bars, below the name of their stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stages: dict[str, TaskID] = {}
        self._titles: set[str] = set()

    def __call__(self, stage: str, done: int, total: int, detail: str) -> None:
        """Draw the bar of a stage, or write a remark above the bars."""
        if not total:
            self._remark(stage, detail)
            return
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(stage, total=total, detail=detail)
        self._bars.update(self._stages[stage], completed=done, total=total, detail=detail)

    def _remark(self, stage: str, detail: str) -> None:
        if stage not in self._titles:
            self._titles.add(stage)
            self._bars.console.print(stage.capitalize(), style="bold")
        self._bars.console.print(Padding(Text(f"- {detail}"), (0, 0, 0, 2)))


class PlainLines:
    """A line when a stage begins and ends, every few seconds between, and for every remark.

    Parameters
    ----------
    write : callable
        Takes a line.
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._stage = ""
        self._written = -SECONDS_BETWEEN_LINES

    def __call__(self, stage: str, done: int, total: int, detail: str) -> None:
        """Write a line unless one was written just before."""
        if not total:
            self._line(f"{stage}: {detail}")
            return
        now = self._clock()
        if stage == self._stage and done < total and now - self._written < SECONDS_BETWEEN_LINES:
            return
        self._stage, self._written = stage, now
        told = f" ({detail})" if detail else ""
        self._line(f"{stage}: {done} of {total}{told}")

    def _line(self, told: str) -> None:
        self._write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {told}")

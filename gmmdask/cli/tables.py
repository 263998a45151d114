"""Tables and lists for a terminal: as wide as it is, 80 columns in a pipe, and plain there. What they hold is not known here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Rows = Sequence[Sequence[str]]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()) -> Table:
    """Return a table, its columns flush right but for those that are named; long words are broken, never dropped."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        shown.add_column(escape(name), justify="left" if name in left else "right", overflow="fold")
    for row in rows:
        shown.add_row(*map(escape, row))
    return shown


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Return names and what is to be said of them, one below the other; what is empty is left out."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, told in rows:
        if told:
            shown.add_row(name, escape(told))
    return shown


def sentences(lines: Iterable[str]) -> Table:
    """Return a list of sentences, each with a dash before it."""
    shown = Table.grid(padding=(0, 1))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for line in lines:
        shown.add_row("-", escape(line))
    return shown


def print_wide(columns: Sequence[str], rows: Rows, console: Console, *, first: int) -> None:
    """Print a table as several where it is too wide for the console; each repeats the first columns.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence of sequences of str
        One cell for each column.
    console : Console
    first : int
        How many columns are repeated.
    """
    widths = [max(len(name), *(len(row[j]) for row in rows)) + 1 for j, name in enumerate(columns)]
    for places in _blocks(widths, console.width, first):
        console.print(table([columns[j] for j in places], ([row[j] for j in places] for row in rows)))


def _blocks(widths: Sequence[int], available: int, first: int) -> Iterator[list[int]]:
    """Yield the columns of each table: the first ones, and as many others as there is room for, but one at least."""
    block = list(range(first))
    for j in range(first, len(widths)):
        if len(block) > first and sum(widths[k] for k in block) + widths[j] > available:
            yield block
            block = list(range(first))
        block.append(j)
    yield block

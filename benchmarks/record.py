"""What the benchmarks say: tables for a terminal of 100 columns that are Markdown too, and the page that keeps them.

`--record` replaces a benchmark's own section of docs/benchmarks.md, between two comments; no figure gets onto that page
in any other way.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
WIDTH = 100
PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "dask", "pyarrow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a benchmark is to run: `small` in a second or two with meaningless figures, `record` onto the page."""

    repeats: int
    small: bool = False
    record: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What one benchmark found.

    Parameters
    ----------
    name : str
        Of the module in this folder.
    title : str
    lines : tuple of str
        Markdown.
    missed : tuple of str
        The required figures that were not reached.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    missed: tuple[str, ...] = ()


def options_of(arguments: Sequence[str] | None, *, repeats: int) -> Options:
    """Read the command line that all benchmarks share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true", help="write the figures to docs/benchmarks.md")
    parser.add_argument("--small", action="store_true", help="tiny sizes: shows that it runs, the figures mean nothing")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"measured rounds (default: {repeats})")
    given = parser.parse_args(arguments)
    if given.record and given.small:
        parser.error("--small figures mean nothing; they are not recorded")
    return Options(repeats=1 if given.small else given.repeats, small=given.small, record=given.record)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a padded Markdown table; numbers stand to the right, as all columns but the first do."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    rule = [("-" if column == 0 else "-:").rjust(width, "-") for column, width in enumerate(widths)]
    return [_line(row, widths) for row in (cells[0], rule, *cells[1:])]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def verdicts(section: str, checks: Sequence[tuple[str, bool]]) -> tuple[list[str], tuple[str, ...]]:
    """Return a line per requirement, and those that were missed."""
    lines = [f"- {'met' if met else '**missed**'}: {text}" for text, met in checks]
    return lines, tuple(f"{section}: {text}" for text, met in checks if not met)


def conclude(section: Section, options: Options, load_before: float) -> int:
    """Print a section, record it where asked for, and return the exit code: 1 if a required figure was missed."""
    text = "\n".join([f"## {section.title}", "", *section.lines, "", *_circumstances(section.name, load_before)])
    print(text, flush=True)
    if options.record:
        PAGE.write_text(replaced(PAGE.read_text() if PAGE.exists() else "# Benchmarks\n", section.name, text))
    return 1 if section.missed and not options.small else 0


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with the section of that name replaced, or added at the end."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text}\n{end}"
    if begin in page:
        before, rest = page.split(begin, 1)
        return before + section + rest.split(end, 1)[1]
    return f"{page.rstrip()}\n\n{section}\n"


def _circumstances(name: str, load_before: float) -> list[str]:
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return [
        f"`python -m benchmarks.{name}`, {date.today():%Y-%m-%d}; {cpu_model()}, {cores} cores,"
        f" load before the start {load_before:.1f};",
        f"Python {platform.python_version()}, {versions}.",
    ]


def load() -> float:
    """Return the mean number of running processes over the last minute: ours have not begun."""
    return os.getloadavg()[0]


def cpu_model() -> str:
    """Return the processor's name and its widest vectors, as the system tells them."""
    information = Path("/proc/cpuinfo").read_text()
    named = re.search(r"model name\s*: (.*)", information)
    vectors = next((name for name in ("avx512f", "avx2", "asimd") if name in information), "")
    return f"{named.group(1) if named else platform.machine()} ({vectors})"

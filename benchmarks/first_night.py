"""From a folder of one's own Parquet to a published night: `gmmdask init`, then `gmmdask nightly`, each as it is typed.

The folder holds every flight that left New York in 2013, and neither command is told anything of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.night_cost import write_date
from benchmarks.record import Options, Section, conclude, load, options_of, table
from gmmdask.settings import load_settings
from infra.demonstration import write_demonstration

MEMORY = re.compile(r"at most\s+([0-9.]+)\s+GiB")


def typed(folder: Path, *words: str) -> tuple[float, str]:
    """Return the seconds that a command took, Python's start included, and what it printed."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "gmmdask", *words]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return time.perf_counter() - began, done.stdout


def run(options: Options) -> Section:
    """Measure once: the two commands, on a lake that they see for the first time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.small:
            write_date(folder, 0, 300)
        else:
            write_demonstration(folder / "lake")
        files = sorted((folder / "lake").rglob("*.parquet"))
        n_rows = sum(pq.read_metadata(file).num_rows for file in files)
        looked, _ = typed(folder, "init", "lake", "-o", "segments.toml")
        settings = load_settings(folder / "segments.toml")
        ran, told = typed(folder, "nightly", "segments.toml")
    peak = MEMORY.search(told)
    rows = [
        ["`gmmdask init lake -o segments.toml`", f"{looked:.1f}"],
        ["`gmmdask nightly segments.toml`", f"{ran:.1f}"],
        ["both", f"{looked + ran:.1f}"],
    ]
    return Section(
        name="first_night",
        title=f"From a folder to a published night: {n_rows:,} rows in {len(files):,} dates",
        lines=(
            f"The settings that `init` wrote cluster {len(settings.features)} columns, and compare",
            f"{len(settings.grid.covariance_types) * len(settings.grid.n_components)} candidates on all rows;"
            " all dates are published, with a report. One process; seconds with Python's start.",
            "",
            *table(["command", "seconds"], rows),
            "",
            f"Memory of the night, at most: {peak[1] if peak else 'not seen'} GiB.",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=1)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

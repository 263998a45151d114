"""A night's fixed cost: a date of ten rows, the champion kept, each night in a new process, with the time of every part."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data import overlapping_components
from benchmarks.record import Options, Section, conclude, load, options_of, table
from benchmarks.timing import Spread

FIRST_DATE = date(2024, 1, 1)
FEATURES = ("x0", "x1", "x2", "x3")
SETTINGS = f"""
features = {list(FEATURES)}
[segmentation]
name = "rows"
[source]
uri = "lake"
id = "id"
[grid]
n_components = [2, 3]
covariance_types = ["diag"]
max_passes = 2
[warehouse]
uri = "warehouse.duckdb"
[registry]
uri = "registry"
"""
ENGINES = {"in this process": "", "2 workers": "[cluster]\nworkers = 2\n"}

STOPS = {
    "Python, imports, settings": "start",
    "look for waiting runs": "resumed",
    "plan": "planned",
    "engine, champion": "begun",
    "score": "scored",
    "check ids": "ids checked",
    "stage": "staged",
    "publish": "published",
    "clear up, end": "end",
}
"""Every part, and the point at which it ends."""

CHILD = """
import json, sys, time
from gmmdask.settings import load_settings
settings = load_settings(sys.argv[1])
from gmmdask.nightly import run_night
passed = {"start": time.time()}
night = run_night(settings, at=lambda point: passed.__setitem__(point, time.time()))
assert night.release is not None
print(json.dumps(passed))
"""


def write_date(folder: Path, number: int, n_rows: int) -> None:
    """Write the rows of one date."""
    rows = overlapping_components(n_rows, len(FEATURES), n_components=2, seed=number)
    path = folder / "lake" / f"dt={FIRST_DATE + timedelta(days=number)}"
    path.mkdir(parents=True)
    ids = pa.array([f"{number}-{row}" for row in range(n_rows)])
    columns: list[pa.Array[Any]] = [ids, *(pa.array(rows[:, place]) for place in range(len(FEATURES)))]
    pq.write_table(pa.table(columns, names=["id", *FEATURES]), path / "part-000.parquet")


def night(folder: Path) -> dict[str, float]:
    """Run the next night in a new process and return the seconds of every part."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder / "settings.toml")], check=True, stdout=subprocess.PIPE, text=True
    )
    passed = {**json.loads(done.stdout.splitlines()[-1]), "end": time.time()}
    parts, before = {}, began
    for part, stop in STOPS.items():
        parts[part] = passed[stop] - before
        before = passed[stop]
    return parts


def measure(engine: str, repeats: int) -> dict[str, Spread]:
    """Return the seconds of every part over several nights, after a first that trained and a second that warms up."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.toml").write_text(SETTINGS + engine)
        write_date(folder, 0, 1_000)
        night(folder)
        measured = []
        for number in range(1, repeats + 2):
            write_date(folder, number, 10)
            measured.append(night(folder))
    return {part: Spread(tuple(one[part] for one in measured[1:])) for part in STOPS}


def run(options: Options) -> Section:
    """Measure on both engines."""
    engines = {"in this process": ""} if options.small else ENGINES
    spreads = {name: measure(engine, options.repeats) for name, engine in engines.items()}
    totals = {
        name: Spread(tuple(map(sum, zip(*(spread.values for spread in parts.values()), strict=True))))
        for name, parts in spreads.items()
    }
    rows: list[list[object]] = [[part, *(parts[part] for parts in spreads.values())] for part in STOPS]
    return Section(
        name="night_cost",
        title="A night's fixed cost: ten new rows, the champion kept",
        lines=(
            f"Seconds: median (smallest–largest) of {options.repeats} nights, each a process of its own.",
            "",
            *table(["part", *engines], [*rows, ["all", *totals.values()]]),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=5)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

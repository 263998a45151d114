"""Pass 0 of a lake against reading the same Parquet files plainly, one thread."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lakes import written_lake
from benchmarks.record import Options, Section, conclude, load, options_of, table
from benchmarks.timing import Spread, interleaved, one_thread, timed
from gmmdask import open_lake
from gmmdask.engine import LocalEngine
from gmmdask.training.survey import survey_source

N_FEATURES = 8


def measure(folder: str, repeats: int) -> dict[str, Spread]:
    """Return the seconds of the plain read, of the lake's own, and of the whole pass."""
    lake = open_lake(folder)
    contestants = {
        "plain": timed(lambda: _read_plainly(folder)),
        "lake": timed(lambda: [leaf.n_rows for p in range(len(lake.partitions)) for leaf in lake.read(p)]),
        "pass 0": timed(lambda: survey_source(lake, LocalEngine())),
    }
    return interleaved(contestants, repeats)


@contextmanager
def _one_arrow_thread() -> Iterator[None]:
    usual = pa.cpu_count()
    pa.set_cpu_count(1)
    try:
        yield
    finally:
        pa.set_cpu_count(usual)


def _read_plainly(folder: str) -> None:
    for file in sorted(Path(folder).iterdir()):
        table_read = pq.read_table(file, use_threads=False)
        for column in table_read.columns:
            column.to_numpy()


def run(options: Options) -> Section:
    """Measure."""
    n_rows = 3_000 if options.small else 1_000_000
    with one_thread(), _one_arrow_thread(), written_lake(n_rows, N_FEATURES) as folder:
        spread = measure(folder, options.repeats)
    rows = [
        [name, seconds.scaled(1e3), seconds.over(spread["plain"]), seconds.scaled(1e9 / n_rows)]
        for name, seconds in spread.items()
    ]
    return Section(
        name="pass_zero",
        title=f"Pass 0 over {n_rows:,} rows × {N_FEATURES} features in Parquet, one thread",
        lines=(
            f"Median (smallest–largest) of {options.repeats} interleaved rounds. Plain: pyarrow, columns as NumPy arrays. Lake:",
            "leaves as gmmdask decodes them. Pass 0: those, with counts, moments, missing patterns and the reservoir.",
            "",
            *table(["read", "ms", "× plain", "ns per row"], rows),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=7)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

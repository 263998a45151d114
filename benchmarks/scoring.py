"""Scoring end to end: rows from Parquet to labels in DuckDB, on two workers, with the time of every part."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data import overlapping_components
from benchmarks.lakes import cluster
from benchmarks.record import Options, Section, conclude, load, options_of, table
from benchmarks.steps import reference_of, start_of
from benchmarks.timing import Spread
from gmmdask.engine import Engine
from gmmdask.engine.dask import DaskEngine
from gmmdask.mixture.structures import FULL
from gmmdask.nightly import Cost, NightModel, Training, metered, plan_night, publish_night, score_night
from gmmdask.preparation import Evidence, Moments, learn_recipe
from gmmdask.scoring import SegmentModel, score_leaf
from gmmdask.settings import Settings, load_settings
from gmmdask.source import Leaf

N_FEATURES, N_COMPONENTS = 8, 8
N_DATES, FILES_PER_DATE = 10, 4
FIRST_DATE = date(2024, 1, 1)
FEATURES = tuple(f"x{number}" for number in range(N_FEATURES))

SETTINGS = f"""
features = {list(FEATURES)}
[segmentation]
name = "rows"
[source]
uri = "lake"
id = "id"
[warehouse]
uri = "warehouse.duckdb"
memory = "2GB"
[registry]
uri = "registry"
"""

PARTS = ("read", "kernel", "write", "id check", "tables", "check", "load", "commit")
"""In the order in which they happen; the first three are those of the workers."""


@contextmanager
def world(n_rows: int) -> Iterator[Settings]:
    """Write a lake of several dates, with an id per row, and settings for its night; removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        n_files = N_DATES * FILES_PER_DATE
        per_file = -(-n_rows // n_files)
        for number in range(n_files):
            rows = overlapping_components(per_file, N_FEATURES, seed=number)
            ids = pa.array(range(number * per_file, (number + 1) * per_file), pa.int64())
            path = Path(folder) / "lake" / f"dt={FIRST_DATE + timedelta(days=number // FILES_PER_DATE)}"
            path.mkdir(parents=True, exist_ok=True)
            columns: list[pa.Array[Any]] = [ids, *(pa.array(rows[:, place]) for place in range(N_FEATURES))]
            written = pa.table(columns, names=["id", *FEATURES])
            pq.write_table(written, path / f"part-{number:03d}.parquet", row_group_size=per_file)
        (Path(folder) / "settings.toml").write_text(SETTINGS)
        yield load_settings(Path(folder) / "settings.toml")


def model_of_the_data() -> NightModel:
    """Return a model with full covariances that any night could have found."""
    sample = overlapping_components(20_000, N_FEATURES)
    moments = Moments(
        features=FEATURES,
        count=np.full(N_FEATURES, len(sample)),
        mean=sample.mean(axis=0),
        variance=sample.var(axis=0),
        minimum=sample.min(axis=0),
        maximum=sample.max(axis=0),
    )
    recipe = learn_recipe(Evidence(moments=moments))
    prepared, _ = recipe.apply(np.ascontiguousarray(sample.T))
    rows = np.ascontiguousarray(prepared.T)
    segments = SegmentModel(
        recipe=recipe,
        parameters=start_of(rows, FULL, N_COMPONENTS),
        reference=reference_of(rows),
        segment_ids=tuple(range(1, N_COMPONENTS + 1)),
        anomaly_threshold=-20.0,
    )
    return NightModel(segments=segments, provenance={}, sample=np.ascontiguousarray(sample[:2_000].T))


def read_alone(partition: int, leaves: Iterator[Leaf]) -> int:
    """Decode every leaf."""
    return sum(leaf.n_rows for leaf in leaves)


def read_and_score(partition: int, leaves: Iterator[Leaf], model: SegmentModel) -> int:
    """Decode every leaf and label its rows."""
    return sum(len(score_leaf(leaf.values, model).component) for leaf in leaves)


class Clock:
    """Notes when each point of a night was passed."""

    def __init__(self) -> None:
        self.passed = {"start": perf_counter()}

    def __call__(self, point: str) -> None:
        """Note the time of a point."""
        self.passed[point] = perf_counter()

    def between(self, first: str, last: str) -> float:
        """Return the seconds from one point to another."""
        return self.passed[last] - self.passed[first]


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of some work."""
    began = perf_counter()
    work()
    return perf_counter() - began


def measure(settings: Settings, engine: Engine) -> tuple[dict[str, float], Cost]:
    """Return the seconds of every part, and the cost of it all but the two measurements of parts."""
    model, plan = model_of_the_data(), plan_night(settings)
    source = plan.published_lake.carry("id")
    engine.map(source.where(dt=FIRST_DATE.isoformat()), read_and_score, (model.segments,), name="warm")
    read = seconds(lambda: engine.map(source, read_alone, name="read"))
    scored = seconds(lambda: engine.map(source, read_and_score, (model.segments,), name="kernel"))
    clock = Clock()
    with metered("scoring") as meter:
        score_night(plan, settings, Training(model=model), engine, at=clock)
        publish_night(plan, settings, at=clock)
    labelled = clock.between("begun", "scored")
    values = (
        read,
        scored - read,
        labelled - scored,
        clock.between("scored", "ids checked"),
        clock.between("ids checked", "staged"),
        clock.between("staged", "checked"),
        clock.between("checked", "table assignments"),
        clock.between("table assignments", "closed"),
    )
    return dict(zip(PARTS, values, strict=True)), meter.cost


def run(options: Options) -> Section:
    """Measure."""
    n_rows = 4_000 if options.small else 10_000_000
    measured = []
    for _ in range(options.repeats):
        with world(n_rows) as settings, cluster(processes=not options.small) as client:
            measured.append(measure(settings, DaskEngine(client)))
    totals = Spread(tuple(sum(parts.values()) for parts, _ in measured))
    parts = {name: Spread(tuple(parts[name] for parts, _ in measured)) for name in PARTS}
    rows = [[name, spread, f"{spread.median / totals.median:.0%}"] for name, spread in parts.items()]
    rate = totals.inverse(n_rows)
    peak = Spread(tuple(cost.peak_bytes / 2**30 for _, cost in measured))
    return Section(
        name="scoring",
        title=f"Scoring {n_rows:,} rows × {N_FEATURES} features end to end, Parquet to DuckDB",
        lines=(
            f"{N_COMPONENTS} components with full covariances; {N_DATES * FILES_PER_DATE} files of {N_DATES} dates; two workers of one",
            "thread label and stage, the driver checks and publishes. Reading and kernel are timed alone, writing is the rest of",
            "the workers' time (profiles, Arrow, Parquet).",
            "",
            *table(["part", "seconds", "share"], rows),
            "",
            f"**{rate} rows per second**, {totals} s in all; all processes together held at most {peak} GiB.",
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=1)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())

"""Small runs to publish, and ways to look at what a reader sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from gmmdask.warehouse import Attempt, Publication, Staging
from gmmdask.warehouse.duckdb_file import DuckDBFile

DAY = date(2013, 5, 1)
NOON = datetime(2013, 5, 2, 12, tzinfo=UTC)
SEGMENTS = 2


def batch(dt: date, ids: Sequence[str | None], segment_id: int = 0) -> pa.Table:
    """Assignments of one date, all to one segment but for the last row, which cannot be scored."""
    scored = [number < len(ids) - 1 or len(ids) == 1 for number in range(len(ids))]
    return pa.table(
        {
            "dt": pa.array([dt] * len(ids), pa.date32()),
            "id": pa.array(ids, pa.string()),
            "segment_id": pa.array([segment_id if ok else None for ok in scored], pa.int64()),
            "component": pa.array([segment_id if ok else None for ok in scored], pa.int64()),
            "probability": pa.array([0.75 if ok else None for ok in scored], pa.float64()),
            "probabilities": pa.array([[0.75, 0.25] if ok else None for ok in scored], pa.list_(pa.float64())),
            "log_density": pa.array([-1.5 if ok else None for ok in scored], pa.float64()),
            "is_anomaly": pa.array([False if ok else None for ok in scored], pa.bool_()),
            "status": pa.array(["ok" if ok else "missing" for ok in scored], pa.string()),
        }
    )


def publication(dt: date = DAY, kind: str = "night", model: str = "m1", run_id: str | None = "run-1") -> Publication:
    """A publication row of the flights; the champion is the model where the kind names one."""
    names_champion = kind in ("night", "promote", "rollback")
    return Publication(
        segmentation="flights",
        kind=kind,
        dt=dt,
        model_id=model,
        run_id=run_id,
        champion_id=model if names_champion else None,
    )


def small_tables(run_id: str, rows: int) -> dict[str, list[dict[str, Any]]]:
    """One row or two for every small table."""
    segment = {"size": rows, "share": 0.5, "weight": 0.5}
    return {
        "segments": [{"segment_id": number, "position": number, **segment} for number in range(SEGMENTS)],
        "segment_profiles": [
            {"segment_id": None, "feature": "distance", "statistic": "mean", "value": 3.5, "unit": "feature"},
        ],
        "outlying_rows": [{"dt": DAY, "id": "a", "place": 1, "segment_id": 0, "log_density": -9.0, "row_values": "{}"}],
        "successions": [{"segment_id": 7, "fate": "died", "successor_id": 0, "departed": 1.0, "arrived": 0.1}],
        "grid": [
            {
                "covariance_type": "full",
                "n_components": 2,
                "n_parameters": 11,
                "status": "polished",
                "is_best": True,
                "bic": 12.5,
            },
        ],
        "drift": [
            {
                "dt": DAY,
                "scope": "night",
                "window_start": DAY,
                "rows": rows,
                "statistic": "gain",
                "unit": "nats per row",
                "is_alarm": False,
                "verdict": "keep",
            },
        ],
        "runs": [run_row(run_id, rows)],
        "lineage": [
            {"purpose": "score", "partition_name": "dt=2013-05-01/a.parquet", "fingerprint": "e1", "rows": rows},
        ],
    }


def run_row(run_id: str, rows: int) -> dict[str, Any]:
    """A row of `runs`."""
    return {
        "run_key": f"key of {run_id}",
        "dt": DAY,
        "kind": "night",
        "status": "done",
        "action": "keep",
        "started_at": NOON,
        "finished_at": NOON,
        "rows_total": rows,
        "rows_ok": rows,
        "rows_missing": 0,
        "rows_unseen": 0,
        "rows_invalid": 0,
        "passes": 1,
        "settings_hash": "s",
        "numeric_fingerprint": "n",
        "versions": '{"numpy": "2"}',
    }


def stage(
    staging: Staging, publications: Sequence[Publication], ids: Mapping[date, Sequence[str]], segment_id: int = 0
) -> Attempt:
    """Stage a complete attempt with one partition a date."""
    run_id = str(publications[0].run_id)
    attempt = staging.begin(run_id)
    files = [attempt.write(number, [batch(dt, ids[dt], segment_id)]) for number, dt in enumerate(sorted(ids))]
    attempt.finish(publications, files, small_tables(run_id, sum(map(len, ids.values()))))
    return attempt


def contents(warehouse: DuckDBFile) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table and view, in an order of its own, without the time of publication."""
    if not Path(warehouse.path).exists():
        return {}
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        names = [name for (name,) in connection.sql("SELECT table_name FROM information_schema.tables").fetchall()]
        found = {name: connection.sql(f'SELECT * FROM "{name}"').to_arrow_table().to_pylist() for name in sorted(names)}
    for rows in found.values():
        for row in rows:
            row.pop("published_at", None)
    return {name: sorted(rows, key=repr) for name, rows in found.items()}

"""A made-up year of nights: retrainings promoted and not, a rollback and its reversal, a repeated date, missing dates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from gmmdask.warehouse import Publication, open_staging
from gmmdask.warehouse.duckdb_file import DuckDBFile
from gmmdask.warehouse.schema import conform
from gmmdask.warehouse.tables import TABLES

SEGMENTATION = "customers"
START = date(2023, 1, 1)
NAMES = ("Night owls", None, "Families in large flats that order groceries every week", None, "Bargain <hunters>")
EMPTY_ROWS = {"rows_missing": 0, "rows_unseen": 0, "rows_invalid": 0}


@dataclass(frozen=True, kw_only=True)
class Year:
    """How many dates there are, and on which of them (counted from the first) something happened.

    The first `together` dates are published by one run. `retrained` says by night the verdict and whether the challenger
    won; the last refit that won splits segment 3. `by_hand` are promotions and rollbacks to the model before.
    """

    dates: int = 365
    together: int = 90
    segments: int = 11
    retrained: Mapping[int, tuple[str, bool]] = field(
        default_factory=lambda: {
            130: ("warm-start", True),
            170: ("warm-start", False),
            230: ("refit", True),
            290: ("warm-start", True),
        }
    )
    announced: Sequence[int] = (320,)
    by_hand: Mapping[int, str] = field(default_factory=lambda: {255: "rollback", 262: "promote"})
    repeated: Sequence[int] = (150,)
    absent: Sequence[int] = (200, 201, 202, 203)
    alarmed: Sequence[int] = (104, 129, 130, 169, 228, 229, 230, 318, 340)
    reasons: str = ""


def day_of(number: int) -> date:
    return START + timedelta(days=number)


def model_of(version: int) -> str:
    return f"{0xC0FFEE0DDBA11 * (version + 7) % 16**16:016x}"


def publish_year(folder: Path, year: Year | None = None) -> DuckDBFile:
    """Publish the first run as a night does, and write all that follows at once."""
    year = year or Year()
    warehouse = DuckDBFile(path=str(folder / "year.duckdb"), now=lambda: datetime(2023, 4, 2, 5, tzinfo=UTC))
    _publish_first(folder, warehouse, year)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES if name != "assignments"}
    for table, row in _following(year):
        rows[table].append(row)
    with duckdb.connect(warehouse.path) as connection:
        ((last,),) = connection.execute("SELECT max(publication_id) FROM publications").fetchall()
        for number, row in enumerate(rows["publications"], start=1):
            row["publication_id"] = last + number
        for name, found in rows.items():
            if found:
                connection.register("incoming", conform(TABLES[name], found, {}))
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")
                connection.unregister("incoming")
    return warehouse


def shares_of(number: int, segments: int, split: bool) -> np.ndarray:
    """Shares that swing with the week and the season; after the split the last segment has half of the third."""
    rng = np.random.default_rng(number)
    weights = np.linspace(2.0, 0.6, segments) * (1 + 0.25 * np.sin(number / 40 + np.arange(segments)))
    weights *= 1 + 0.12 * np.cos(2 * np.pi * number / 7 + np.arange(segments)) + 0.03 * rng.normal(size=segments)
    weights[-1] = weights[2] / 2 if split else 0.0
    weights[2] /= 2 if split else 1
    return weights / weights.sum()


def rows_of(number: int) -> int:
    return 900 + 60 * (number % 7 < 5) + number


def _publish_first(folder: Path, warehouse: DuckDBFile, year: Year) -> None:
    dates = list(range(year.together))
    run_id, model = "first run", model_of(0)
    publications = [
        Publication(
            segmentation=SEGMENTATION,
            kind="night" if number == dates[-1] else "rescore",
            dt=day_of(number),
            model_id=model,
            run_id=run_id,
            champion_id=model if number == dates[-1] else None,
        )
        for number in dates
    ]
    attempt = open_staging(str(folder / "staging")).begin(run_id)
    files = [attempt.write(number, [_assignments(number, year)]) for number in dates]
    total = sum(map(rows_of, dates))
    first = {**_run(run_id, dates[-1], "night", "first"), "rows_total": total, "rows_ok": total, "training_rows": total}
    first["finished_at"] = first["started_at"] + timedelta(seconds=312)
    segments = [dict(row) for row in _segments(run_id, dates[-1], model, year, split=False, size=total)]
    attempt.finish(publications, files, {"runs": [first], "segments": segments})
    warehouse.publish(attempt.load())


def _assignments(number: int, year: Year) -> pa.Table:
    n = rows_of(number)
    shares = shares_of(number, year.segments, split=False)
    edges = np.round(np.cumsum(shares) * n)
    component = np.searchsorted(edges, np.arange(n), side="right").clip(0, year.segments - 2)
    return pa.table(
        {
            "dt": pa.array([day_of(number)] * n, pa.date32()),
            "id": [f"{number}-{row}" for row in range(n)],
            "segment_id": pa.array(component + 1, pa.int64()),
            "component": pa.array(component, pa.int64()),
            "probability": pa.array(np.full(n, 0.9)),
            "probabilities": pa.array([[0.9, 0.1]] * n, pa.list_(pa.float64())),
            "log_density": pa.array(np.full(n, density_of(number))),
            "is_anomaly": pa.array(np.arange(n) < 2),
            "status": ["ok"] * n,
        }
    )


def density_of(number: int) -> float:
    return float(-38.0 + 0.3 * np.sin(number / 9) + 0.1 * np.random.default_rng(number + 10_000).normal())


def _following(year: Year) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row after those of the first run, with its table."""
    version, reigning, divided = 0, [model_of(0)], set[str]()
    for number in range(year.together, year.dates):
        if number in year.absent:
            continue
        champion = reigning[-1]
        verdict, wins = year.retrained.get(number, ("keep", False))
        trained = None
        if verdict != "keep":
            version += 1
            trained = model_of(version)
            if wins:
                reigning.append(trained)
                divided |= {trained} if verdict == "refit" or champion in divided else set()
        split = reigning[-1] in divided
        is_announced = number in year.announced
        run = _run(f"night {number}", number, "night", verdict if wins else "keep")
        run |= _judgement(number, year, "warm-start" if is_announced else verdict, trained)
        run["model_id"] = reigning[-1]
        yield from _night(run, number, year, split)
        yield from _drift(run, number, year, split)
        yield "publications", _publication("night", number, run["run_id"], reigning[-1], reigning[-1])
        if number in year.repeated:
            again = {**_run(f"repeat {number}", number, "repeat", "keep"), "model_id": champion, "rows_total": 7_000}
            again["rows_ok"] = 7_000
            yield from _night(again, number, year, split)
            yield "publications", _publication("repeat", number, again["run_id"], champion, None)
        if number in year.by_hand:
            reigning.append(reigning[-2])
            yield "publications", _publication(year.by_hand[number], number, None, reigning[-1], reigning[-1])


def _night(run: dict[str, Any], number: int, year: Year, split: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "runs", run
    for row in _segments(run["run_id"], number, run["model_id"], year, split=split, size=run["rows_ok"]):
        yield "segments", {**row, "run_id": run["run_id"], "model_id": run["model_id"]}


def _publication(kind: str, number: int, run_id: str | None, model: str, champion: str | None) -> dict[str, Any]:
    return {
        "segmentation": SEGMENTATION,
        "kind": kind,
        "dt": day_of(number),
        "run_id": run_id,
        "model_id": model,
        "champion_id": champion,
        "published_at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number),
    }


def _run(run_id: str, number: int, kind: str, action: str) -> dict[str, Any]:
    began = datetime(2023, 1, 2, 2, 15, tzinfo=UTC) + timedelta(days=number)
    seconds = {"keep": 11, "first": 300, "warm-start": 95, "refit": 240}[action] + number % 5
    total = rows_of(number)
    return {
        "run_id": run_id,
        "run_key": f"key of {run_id}",
        "segmentation": SEGMENTATION,
        "dt": day_of(number),
        "kind": kind,
        "status": "done",
        "action": action,
        "started_at": began,
        "finished_at": began + timedelta(seconds=seconds),
        "rows_total": total,
        "rows_ok": total,
        **EMPTY_ROWS,
        "rows_anomalous": 1 + number % 3,
        "anomaly_threshold": -61.5,
        "passes": 0,
        "settings_hash": "s",
        "settings": json.dumps({"anomalies": {"quantile": 0.001}}),
        "numeric_fingerprint": "n",
        "versions": "{}",
    }


def _judgement(number: int, year: Year, verdict: str, trained: str | None) -> dict[str, Any]:
    retrained = number in year.retrained
    wins = retrained and year.retrained[number][1]
    reason = "The gain stays below what the training nights reached."
    if number in year.announced:
        reason = "The gain of 0.0041 is twice what the training nights reached."
    if retrained:
        reason = f"The gain of 0.0041 is twice what the training nights reached; segment 3 moved most, in its mean.{year.reasons}"
        reason += "" if wins else " The challenger was no better on held-out rows."
    return {
        "verdict": verdict,
        "reason": reason,
        "challenger_id": trained,
        "status": "alert" if number in year.announced or (retrained and not wins) else "done",
        "champion_score": -38.1042 if retrained else None,
        "challenger_score": (-38.0871 if wins else -38.1077) if retrained else None,
    }


def _segments(run_id: str, number: int, model: str, year: Year, *, split: bool, size: int) -> Iterator[dict[str, Any]]:
    shares = shares_of(number, year.segments, split)
    sizes = np.diff(np.round(np.cumsum([0.0, *shares]) * size)).astype(int)
    for position in range(year.segments if split else year.segments - 1):
        is_new = position == year.segments - 1
        yield {
            "segment_id": position + 1,
            "name": NAMES[position] if position < len(NAMES) else None,
            "position": position,
            "size": int(sizes[position]),
            "share": float(sizes[position] / max(size, 1)),
            "weight": float(shares[position]),
            "mean_log_density": density_of(number),
            "anomalies": 0,
            "origin": "split" if is_new else None,
            "predecessors": "[3]" if is_new else None,
        }


def gain_of(number: int, year: Year) -> float:
    """Noise that grows until a retraining takes it back."""
    if number in year.retrained or number in year.announced:
        return 0.0041
    since = min((number - one for one in year.retrained if one < number), default=number - year.together)
    noise = abs(np.random.default_rng(number + 500).normal())
    return float(3e-4 * (1 + since / 24 + 0.3 * noise))


def _drift(run: Mapping[str, Any], number: int, year: Year, split: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    common = {"run_id": run["run_id"], "dt": day_of(number), "rows": 28 * run["rows_ok"], "is_alarm": False}
    gain = {**common, "statistic": "gain", "unit": "nats per row"}
    window = {**gain, "scope": "window", "window_start": day_of(number - 27)}
    is_full = number >= year.together + 14
    value = gain_of(number, year) if is_full else None
    yield (
        "drift",
        {**window, "value": value, "threshold": 0.0019, "verdict": run["verdict"], "reason": run["reason"]},
    )
    yield "drift", {**window, "segment_id": 2, "part": "mean", "value": 0.0001}
    is_alarm = number in year.alarmed
    night = 9e-3 * (3.1 if is_alarm else 1) * (1 + 0.3 * np.sin(number))
    tonight = {**gain, "scope": "night", "window_start": day_of(number), "value": night, "threshold": 0.0185}
    yield (
        "drift",
        {
            **tonight,
            "is_alarm": is_alarm,
            "reason": "Tonight is unlike the nights of training." if is_alarm else None,
        },
    )
    if is_alarm and number % 2:
        yield (
            "drift",
            {
                **common,
                "scope": "night",
                "window_start": day_of(number),
                "statistic": "null_rate",
                "feature": "average_monthly_household_income_after_tax_in_the_last_three_years",
                "value": 0.012,
                "threshold": 0.004,
                "unit": "share",
                "is_alarm": True,
                "reason": f"The column is missing in 1.2% of the rows, twelve times as often as before.{year.reasons}",
            },
        )

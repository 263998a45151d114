"""A year of nights of the demonstration, one after the other in this process: `python -m infra.year [--from] [--to]`.

The first night learns from January to March. Printed are the nights that trained, with what moved most and what became
of the segments; the trend page shows all of them. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from gmmdask.nightly import run_night
from gmmdask.nightly.model import load_night_model
from gmmdask.nightly.plan import open_night_lake, warehouse_of
from gmmdask.nightly.trend import write_trend
from gmmdask.settings import Alerts, Cluster, Settings, load_settings

FIRST = date(2013, 3, 31)
FOLDER = Path("demo/year")

TRAINED = """SELECT run_id, dt, verdict, action, reason, model_id, challenger_id, champion_score, challenger_score
    FROM runs WHERE segmentation = $segmentation AND dt > $first AND (challenger_id IS NOT NULL OR action <> 'keep')
    ORDER BY dt"""

MOVED = """SELECT segment_id, part, value FROM drift WHERE run_id = $run_id AND scope = 'window'
    AND statistic = 'gain' AND segment_id IS NOT NULL ORDER BY value DESC LIMIT 1"""


def year_settings(file: Path, folder: Path) -> Settings:
    """Return the settings of a segmentation with everything in a folder of its own, on threads alone.

    Only nights that trained have a report, the trend is drawn once at the end, and alerts are told nobody.
    """
    settings = load_settings(file)
    root = folder.resolve()
    return settings.model_copy(
        update={
            "warehouse": settings.warehouse.model_copy(
                update={"uri": str(root / "warehouse.duckdb"), "staging": str(root / "warehouse.work")}
            ),
            "registry": settings.registry.model_copy(update={"uri": str(root / "registry")}),
            "report": settings.report.model_copy(
                update={"uri": str(root / "reports"), "reports": "retrainings", "trend": False}
            ),
            "alerts": Alerts(),
            "cluster": Cluster(threads=2),
        }
    )


def play(settings: Settings, first: date, last: date) -> None:
    """Run every night from the first to the last date, and tell of those that are not ordinary."""
    dates = [date.fromisoformat(text) for text in open_night_lake(settings).dates]
    for dt in (one for one in dates if first <= one <= last):
        began = time.perf_counter()
        night = run_night(settings, dt)
        if night.release is not None:
            (run,) = night.release.tables["runs"].to_pylist()
            print(f"{dt}  {run['action']:10}  {time.perf_counter() - began:5.1f} s  {run['reason']}", flush=True)


def retrainings(settings: Settings, first: date) -> Iterator[str]:
    """Yield a line for every night that trained: why, what moved most, who won, what became of the segments."""
    warehouse = warehouse_of(settings)
    name = settings.segmentation.name
    for run in warehouse.query(TRAINED, {"segmentation": name, "first": first}).to_pylist():
        moved = warehouse.query(MOVED, {"run_id": run["run_id"]}).to_pylist()
        told = f"segment {moved[0]['segment_id']} ({moved[0]['part']})" if moved else "-"
        outcome = "promoted" if run["challenger_id"] == run["model_id"] else "rejected"
        yield f"{run['dt']}  {run['verdict']:10}  most moved: {told}; {outcome}; {_segments(settings, run)}"


def _segments(settings: Settings, run: Mapping[str, Any]) -> str:
    if run["challenger_id"] is None:
        return "no sound candidate"
    alignment = load_night_model(settings, run["challenger_id"]).alignment
    if alignment is None:
        return "no segment continues"
    born = [descent.segment_id for descent in alignment.descents if descent.origin != "kept"]
    return f"{len(alignment.segment_ids) - len(born)} segments kept, born {born or 'none'}, died {list(alignment.ended) or 'none'}"


def main() -> None:
    """Play the year and say what it was like."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, default=Path("infra/demo.toml"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where warehouse, models and the page go")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=FIRST)
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2013, 12, 31))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    settings = year_settings(given.settings, given.folder)
    logging.getLogger("gmmdask.alerts").setLevel(logging.ERROR)  # the trend page lists them
    began = time.perf_counter()
    play(settings, given.first, given.last)
    print(f"\n{time.perf_counter() - began:,.0f} s. Nights that trained after the first:")
    print("\n".join(retrainings(settings, given.first)) or "none")
    print(write_trend(settings, given.folder / "trend.html"))


if __name__ == "__main__":
    main()

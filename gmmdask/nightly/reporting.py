"""The report of a published run: which run, which model, where to."""

from __future__ import annotations

from pathlib import Path

from gmmdask.nightly.model import load_night_model
from gmmdask.nightly.plan import warehouse_of
from gmmdask.report import latest_run, write_report
from gmmdask.settings import Settings


def report_night(settings: Settings, path: Path | None = None, run_id: str | None = None) -> Path:
    """Write the report of a run as one HTML file and return its path.

    Parameters
    ----------
    settings : Settings
    path : Path, optional
        By default the run's name in the working directory.
    run_id : str, optional
        By default the run published last.

    Raises
    ------
    WarehouseError
        Nothing is published, or not this run.
    StorageError
        The run's model is no longer in the registry.
    """
    warehouse = warehouse_of(settings)
    run = run_id or latest_run(warehouse, settings.segmentation.name)
    found = warehouse.query("SELECT model_id FROM runs WHERE run_id = $run_id", {"run_id": run}).to_pylist()
    model = load_night_model(settings, found[0]["model_id"]) if found else None
    return write_report(
        warehouse,
        run,
        path or Path(f"{settings.segmentation.name}-{run}.html"),
        model=model.segments if model else None,
        sample=model.sample if model else None,
    )

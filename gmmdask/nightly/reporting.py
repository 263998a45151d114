"""The reports of published runs: where each lies, and writing those that are missing.

A run's row says where its report lies before it is written, and publishing does not wait for it: what was published and
has no report, because a night was killed or the folder was out of reach, gets it from the next call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gmmdask.errors import StorageError, UnknownNameError, WarehouseError
from gmmdask.nightly.model import load_night_model
from gmmdask.nightly.plan import warehouse_of
from gmmdask.settings import Settings
from gmmdask.storage import open_storage, reaching
from gmmdask.warehouse.port import pass_by

LOOKED_BACK = 10
"""Runs, the last published first, whose reports are written where they are missing; older ones may have been cleared away."""

PATIENCE = 30.0
"""Seconds that a report waits for the warehouse at most."""

LATEST = """SELECT r.run_id, r.report_uri FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation GROUP BY ALL ORDER BY max(p.publication_id) DESC LIMIT $most"""

RUN = "SELECT dt, model_id, report_uri FROM runs WHERE run_id = $run_id AND segmentation = $segmentation"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What became of a report.

    Parameters
    ----------
    run_id, uri : str
        The run that it tells of, and where it lies or belongs.
    trouble : str, default ""
        Why it was not written, in one sentence; empty where it was.
    """

    run_id: str
    uri: str
    trouble: str = ""


def report_uri(settings: Settings, dt: date, run_id: str, *, has_trained: bool) -> str | None:
    """Return where the report of a run belongs; None where it is to have none."""
    wanted = {"all": True, "retrainings": has_trained, "none": False}[settings.report.reports]
    return _address(settings, dt, run_id) if wanted else None


def write_missing_reports(settings: Settings, *, at: Callable[[str], None] = pass_by) -> tuple[Report, ...]:
    """Write the reports of the runs published last that are missing, the latest first.

    Never raises: a report that cannot be written costs no night. It is told, and tried again by the next call.

    Parameters
    ----------
    settings : Settings
    at : callable
        Called with the name of every point at which a crash must do no harm.

    Returns
    -------
    tuple of Report
        Those that were written or tried.
    """
    return () if settings.report.reports == "none" else tuple(_missing(settings, at))


def _missing(settings: Settings, at: Callable[[str], None]) -> Iterator[Report]:
    for run_id, uri in _latest(settings, LOOKED_BACK):
        report = _attempt(settings, run_id, uri, at, is_there=False)
        if report is not None:
            yield report
            if report.trouble:
                return  # what keeps this one from being written most often keeps the others too


def report_night(settings: Settings, path: str | Path | None = None, run_id: str | None = None) -> str:
    """Write the report of a run, whether or not there is one already, and return where it lies.

    Parameters
    ----------
    settings : Settings
    path : str or Path, optional
        A file on this machine, or an address, opened with the storage options of the reports; by default where the run's
        own report belongs.
    run_id : str, optional
        By default the run published last.

    Raises
    ------
    UnknownNameError
        Nothing is published of this segmentation, or not this run.
    WarehouseError
        The warehouse cannot be read.
    StorageError
        The run's model is no longer in the registry, or the file cannot be written.
    """
    name = settings.segmentation.name
    run = run_id or next((latest for latest, _ in _latest(settings, 1, raising=True)), None)
    if run is None:
        raise UnknownNameError(f"nothing was published of a segmentation {name!r}; run a night first")
    found = _run(settings, run)
    uri = str(path) if path else found["report_uri"] or _address(settings, found["dt"], run)
    _write(settings, uri, run, pass_by, options=options_for(settings, str(path)) if path else None)
    return uri


def renew_report(settings: Settings, run_id: str) -> Report | None:
    """Write the report of a run again, as after a change of names; None where there is none. Never raises."""
    if settings.report.reports == "none":
        return None
    known = dict(_latest(settings, LOOKED_BACK))
    return _attempt(settings, run_id, known[run_id], pass_by, is_there=True) if run_id in known else None


def _attempt(settings: Settings, run_id: str, uri: str, at: Callable[[str], None], *, is_there: bool) -> Report | None:
    """Write a report where there is one, or where there is none, and tell what became of it."""
    try:
        if _is_there(settings, uri) is not is_there:
            return None
        _write(settings, uri, run_id, at)
    except Exception as error:  # noqa: BLE001  whatever fails here, the run is published
        _log.info("the report of run %s was not written", run_id, exc_info=True)
        return Report(run_id=run_id, uri=uri, trouble=_told(run_id, error))
    return Report(run_id=run_id, uri=uri)


def _latest(settings: Settings, most: int, *, raising: bool = False) -> list[tuple[str, str]]:
    values = {"segmentation": settings.segmentation.name, "most": most}
    try:
        found = warehouse_of(settings, patience_of(settings)).query(LATEST, values).to_pylist()
    except WarehouseError:
        if raising:
            raise
        _log.info("no report was looked for", exc_info=True)
        return []
    return [(row["run_id"], row["report_uri"]) for row in found if row["report_uri"] or raising]


def _run(settings: Settings, run_id: str) -> dict[str, Any]:
    values = {"run_id": run_id, "segmentation": settings.segmentation.name}
    found: list[dict[str, Any]] = warehouse_of(settings, patience_of(settings)).query(RUN, values).to_pylist()
    if not found:
        raise UnknownNameError(
            f"run {run_id!r} of {settings.segmentation.name!r} is not in the warehouse; the view current_assignments "
            "names those that are"
        )
    return found[0]


def _write(
    settings: Settings, uri: str, run_id: str, at: Callable[[str], None], options: dict[str, Any] | None = None
) -> None:
    from gmmdask.report import render_report, write_page  # plotly takes a second, and most calls write nothing

    model = load_night_model(settings, _run(settings, run_id)["model_id"])
    page = render_report(
        warehouse_of(settings, patience_of(settings)),
        run_id,
        model=model.segments,
        sample=model.sample,
        alignment=model.alignment,
    )
    at("report drawn")
    write_page(
        page, uri, f"the report of run {run_id}", settings.report.storage_options if options is None else options
    )
    at("report written")


def _is_there(settings: Settings, uri: str) -> bool:
    options = settings.report.storage_options
    filesystem, path = open_storage(uri, options)
    with reaching(uri, options, "the report cannot be looked for: "):
        return bool(filesystem.exists(path))


def _address(settings: Settings, dt: date, run_id: str) -> str:
    folder = str(settings.report.uri).rstrip("/")
    return f"{folder}/{settings.segmentation.name}/{dt}-{run_id}.html"


def options_for(settings: Settings, uri: str) -> dict[str, Any]:
    """Return the storage options of the reports for an address, and none for a path on this machine."""
    return settings.report.storage_options if "://" in uri else {}


def patience_of(settings: Settings) -> float:
    """Return the seconds that a page waits for the warehouse."""
    return min(PATIENCE, settings.warehouse.publish_timeout)


def reason_of(error: Exception) -> str:
    """Return in one line why a page was not written."""
    reason = str(error) if isinstance(error, StorageError | WarehouseError) else f"{type(error).__name__}: {error}"
    return reason.strip().splitlines()[0].rstrip(".") if reason.strip() else type(error).__name__


def _told(run_id: str, error: Exception) -> str:
    return f"Run {run_id} is published, and its report was not written ({reason_of(error)})"

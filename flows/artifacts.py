"""What Prefect's pages show of a run: the grid, the segments, and where to look. Bounded, whatever the run's size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from gmmdask.nightly import Night, Training
from gmmdask.nightly.tables import grid_rows
from gmmdask.settings import Settings

MOST_ROWS = 60
MOST_COLUMNS = 8
LONGEST_TEXT = 120

GRID = ("covariance_type", "n_components", "bic", "aic", "icl", "holdout_score", "status", "is_best", "reason")
SEGMENTS = ("segment_id", "name", "size", "share", "mean_probability", "certain_rows", "anomalies")


def show_grid(training: Training, settings: Settings) -> None:
    """Show every candidate of a grid, the best first; nothing where no model was trained."""
    if training.grid is None:
        return
    rows = sorted(grid_rows(training.grid), key=lambda row: (row["bic"] is None, row["bic"] or 0.0))
    create_table_artifact(
        table=_table(rows, GRID),
        key=artifact_key(settings.segmentation.name, "grid"),
        description=f"Candidates of model {training.model.model_id}, by BIC; chosen by {settings.grid.criterion}.",
    )


def show_segments(night: Night, settings: Settings) -> None:
    """Show the segments of a published run with the means of their features, and where the rest is."""
    if night.release is None:
        return
    tables = {name: table.to_pylist() for name, table in night.release.tables.items()}
    name = settings.segmentation.name
    means: dict[int, dict[str, float]] = {}
    for row in tables["segment_profiles"]:
        if row["statistic"] == "mean" and row["segment_id"] is not None:
            means.setdefault(row["segment_id"], {})[f"mean {row['feature']}"] = row["value"]
    features = [f"mean {feature}" for feature in settings.features[:MOST_COLUMNS]]
    rows = [{**row, **means.get(row["segment_id"], {})} for row in tables["segments"]]
    create_table_artifact(
        table=_table(rows, (*SEGMENTS, *features)),
        key=artifact_key(name, "segments"),
        description=f"Segments of run {night.plan.run_id}, {night.plan.dt}; means in original units.",
    )
    create_markdown_artifact(
        markdown=told(night, tables["runs"][0], settings),
        key=artifact_key(name, "night"),
        description=f"Run {night.plan.run_id}.",
    )


def artifact_key(segmentation: str, what: str) -> str:
    """Return a key as Prefect wants it: lower-case letters, digits and dashes.

    Examples
    --------
    >>> artifact_key("Web_events.v2", "grid")
    'web-events-v2-grid'
    """
    return re.sub(r"[^a-z0-9]+", "-", f"{segmentation}-{what}".lower()).strip("-")


def _table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> list[dict[str, Any]]:
    shown = list(columns)
    return [{name: _cell(row.get(name)) for name in shown} for row in list(rows)[:MOST_ROWS]]


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def told(night: Night, run: Mapping[str, Any], settings: Settings) -> str:
    """Return what was published, and where to look."""
    reason = _cell(str(run["reason"]))
    return (
        f"**{settings.segmentation.name}, {night.plan.dt}**: {run['rows_total']:,} rows, {run['rows_ok']:,} with a "
        f"segment, labelled by model `{run['model_id']}`. {reason}\n\n"
        f"- warehouse `{settings.warehouse.uri}`: views `current_assignments`, `current_segments`\n"
        f"- report: {_report(night, run)}\n"
    )


def _report(night: Night, run: Mapping[str, Any]) -> str:
    """Return a link to the report, or the command that writes it where there is none."""
    missing = {report.run_id for report in night.reports if report.trouble}
    uri = run["report_uri"]
    if uri is None or run["run_id"] in missing:
        return f"`gmmdask report SETTINGS --run {run['run_id']}`"
    return f"[{uri.rpartition('/')[2]}]({link(uri)})"


def link(uri: str) -> str:
    """Return an address as a link takes it.

    Examples
    --------
    >>> link("/srv/my house/a.html"), link("s3://bucket/reports/a.html")
    ('file:///srv/my%20house/a.html', 's3://bucket/reports/a.html')
    """
    return quote(uri, safe=":/") if "://" in uri else Path(uri).as_uri()

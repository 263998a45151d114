"""The segments in force as they were last published, and the names that analysts give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from gmmdask.errors import UnknownNameError, WarehouseBusyError, WarehouseError
from gmmdask.nightly.plan import warehouse_of
from gmmdask.nightly.reporting import Report, renew_report
from gmmdask.settings import Settings
from gmmdask.warehouse import Release

PATIENCE = 10.0
"""Seconds that somebody at a terminal waits for the warehouse."""

CURRENT = "SELECT * FROM current_segments WHERE segmentation = $segmentation ORDER BY segment_id"
PROFILES = "SELECT * FROM segment_profiles WHERE run_id = $run_id"
NAMES = "SELECT segment_id, name FROM segments WHERE run_id = $run_id"
ALL_NAMES = """SELECT DISTINCT s.segment_id, s.name FROM segments AS s JOIN publications AS p ON p.run_id = s.run_id
    WHERE p.segmentation = $segmentation AND s.name IS NOT NULL ORDER BY s.segment_id"""

Row = Mapping[str, Any]


def read_segments(settings: Settings) -> dict[str, Sequence[Row]]:
    """Return the segments in force and their profiles, as rows by table: `segments` and `segment_profiles`.

    Raises
    ------
    UnknownNameError
        Nothing of this segmentation was published.
    WarehouseError
        There is no warehouse yet, or it cannot be read.
    """
    name = settings.segmentation.name
    with at_once():
        warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
        segments = warehouse.query(CURRENT, {"segmentation": name}).to_pylist()
        if not segments:
            raise UnknownNameError(f"nothing was published of a segmentation {name!r}; run a night first")
        profiles = warehouse.query(PROFILES, {"run_id": segments[0]["run_id"]}).to_pylist()
    return {"segments": segments, "segment_profiles": profiles}


def segment_names(settings: Settings) -> dict[int, str]:
    """Return the name of every segment that has one, by its id, whichever models have the segment.

    Raises
    ------
    WarehouseError
        The warehouse cannot be read.
    """
    name = settings.segmentation.name
    with at_once():
        warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
        if warehouse.champion_before(name, date.max) is None:
            return {}
        rows = warehouse.query(ALL_NAMES, {"segmentation": name}).to_pylist()
    return {row["segment_id"]: row["name"] for row in rows}


def name_segment(settings: Settings, segment_id: int, name: str | None) -> Report | None:
    """Give a segment a name that it keeps in every run, published or to come; None takes it away.

    A night that waits to be published has the name too: names enter a run as it is published. The report of the run that
    `current_segments` shows is written again; older ones stay as they were.

    Returns
    -------
    Report or None
        What became of that report; None where there is none.

    Raises
    ------
    UnknownNameError
        There never was such a segment; lists those that there are.
    InvalidInputError
        The name is empty, too long, holds invisible characters, or is that of another segment.
    WarehouseError
        Others hold the warehouse open, or it cannot be written; nothing was changed.
    """
    with at_once():
        warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
        warehouse.name_segment(settings.segmentation.name, segment_id, name)
        shown = warehouse.query(CURRENT, {"segmentation": settings.segmentation.name}).to_pylist()
    return renew_report(settings, shown[0]["run_id"]) if shown else None


def named(release: Release, settings: Settings) -> Release:
    """Return a published release with the names of its segments, which only the warehouse knows.

    Without them where the warehouse cannot be read just now: what was published is published.
    """
    try:
        found = warehouse_of(settings, 0).query(NAMES, {"run_id": release.run_id}).to_pylist()
    except WarehouseError:
        return release
    names = {row["segment_id"]: row["name"] for row in found}
    segments = release.tables["segments"]
    column = pa.array([names.get(one) for one in segments["segment_id"].to_pylist()], pa.string())
    with_names = segments.set_column(segments.column_names.index("name"), "name", column)
    return replace(release, tables={**release.tables, "segments": with_names})


@contextmanager
def at_once() -> Iterator[None]:
    """Tell a warehouse that is busy, while nothing is staged, from one that a staged run waits for.

    Raises
    ------
    WarehouseError
        In place of `WarehouseBusyError`, which promises that the run is published later.
    """
    try:
        yield
    except WarehouseBusyError as error:
        raise WarehouseError(str(error)) from error

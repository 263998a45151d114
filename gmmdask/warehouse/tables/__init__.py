"""The tables of a warehouse, as data: every column with its type, unit and meaning.

This is their one definition. `CREATE TABLE` statements and docs/tables.md are generated from it. What readers are shown
of the tables is in `gmmdask.warehouse.views`; no statement that reads or changes a row lives here.
"""

from gmmdask.warehouse.tables.columns import one_of
from gmmdask.warehouse.tables.labels import ASSIGNMENTS, OUTLYING_ROWS, SEGMENT_PROFILES, SEGMENTS
from gmmdask.warehouse.tables.models import DRIFT, GRID, SUCCESSIONS
from gmmdask.warehouse.tables.runs import (
    CHAMPION_CHANGES,
    CHAMPION_KINDS,
    KINDS,
    LABEL_KINDS,
    LINEAGE,
    PUBLICATIONS,
    RUNS,
)

__all__ = [
    "ASSIGNMENTS",
    "CHAMPION_CHANGES",
    "CHAMPION_KINDS",
    "KINDS",
    "LABEL_KINDS",
    "PUBLICATIONS",
    "SEGMENTS",
    "TABLES",
    "one_of",
]

TABLES = {
    table.name: table
    for table in (
        ASSIGNMENTS,
        SEGMENTS,
        SEGMENT_PROFILES,
        OUTLYING_ROWS,
        SUCCESSIONS,
        GRID,
        DRIFT,
        RUNS,
        LINEAGE,
        PUBLICATIONS,
    )
}
"""All tables by name, in the order in which they are written."""

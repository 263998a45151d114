"""What is refused before anything is written: wrong ids, rows of wrong dates, changes of champion that others overtook.

DuckDB looks at the staged files in a database of its own, so that nobody waits for it.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date

import duckdb

from gmmdask.errors import InvalidInputError, WarehouseError
from gmmdask.warehouse.connection import MEMORY, Limits, Patience, opened
from gmmdask.warehouse.files import is_local, reaching, uris
from gmmdask.warehouse.release import Publication, Release, StagedRows
from gmmdask.warehouse.tables import CHAMPION_CHANGES
from gmmdask.warehouse.views import DECIDED_SINCE

SHOWN_IDS = 5
ELSEWHERE = """SELECT 1 FROM assignments AS known WHERE segmentation = $segmentation AND NOT list_contains($dates, dt)
    AND id IN (SELECT id FROM read_parquet($paths)) LIMIT 1"""
"""Whether any run ever had these ids for other dates. That is seldom so, and found out several times as fast as what
readers see of them: DuckDB keeps the fresh ids in memory and reads one column of the table."""
NOUNS = {"promote": "promotion"}
UNIQUE = {"event": "id", "snapshot": "dt, id"}


def check_staged(staged: StagedRows, release: Release, limits: Limits, beside: str = "") -> None:
    """Refuse staged rows with missing or repeated ids, or of dates that are not published.

    Needs no warehouse, so it keeps nobody waiting.

    Parameters
    ----------
    staged, release
        The rows, and what they are part of.
    limits : Limits
        What DuckDB may use.
    beside : str, optional
        A local path next to which DuckDB spills where the limits name no folder; else the system's folder for such.

    Raises
    ------
    InvalidInputError
        Names dates, ids and counts.
    WarehouseError
        The files cannot be read, or are not those that were staged.
    """
    if not staged.paths:
        return
    # Left to itself, DuckDB would spill into the current folder.
    spill = limits.temp_directory or (f"{beside}.tmp" if beside else tempfile.gettempdir())
    spilling = replace(limits, temp_directory=spill)
    with opened(MEMORY, limits=spilling, patience=Patience(), read_only=False) as connection:
        register_staged(connection, staged)
        _check_dates(connection, staged, release)
        if not staged.checked:
            _check_ids(connection, staged, release)


def _check_dates(connection: duckdb.DuckDBPyConnection, staged: StagedRows, release: Release) -> None:
    counted = connection.execute(
        "SELECT dt, count(*) FROM read_parquet($paths) GROUP BY dt ORDER BY dt",
        {"paths": uris(staged.filesystem, staged.paths)},
    ).fetchall()
    strangers = {dt for dt, _ in counted} - {publication.dt for publication in release.publications}
    if strangers:
        raise InvalidInputError(
            f"run {release.run_id} staged rows of {min(strangers)}, a date that it does not publish "
            f"({len(strangers)} such dates)"
        )
    if sum(count for _, count in counted) != staged.rows:
        found = sum(count for _, count in counted)
        raise WarehouseError(
            f"run {release.run_id} staged {staged.rows} rows, its files hold {found}: compute it again"
        )


def _check_ids(connection: duckdb.DuckDBPyConnection, staged: StagedRows, release: Release) -> None:
    repeated = connection.execute(
        f"""SELECT min(dt) AS first_date, max(dt) AS last_date, id, count(*) AS times
        FROM read_parquet($paths) GROUP BY {UNIQUE[release.entity]}
        HAVING count(*) > 1 OR id IS NULL ORDER BY first_date, id LIMIT $shown""",  # noqa: S608
        {"paths": uris(staged.filesystem, staged.paths), "shown": SHOWN_IDS},
    ).fetchall()
    if repeated:
        listed = "; ".join(
            f"{first}{'' if last == first else f' to {last}'}: {'NULL' if id_ is None else repr(id_)} in {times} rows"
            for first, last, id_, times in repeated
        )
        within = "within a date" if release.entity == "snapshot" else "in the whole lake, as those of events are"
        raise InvalidInputError(
            f"ids must be present and unique {within}, but run {release.run_id} of {release.segmentation!r} has {listed}"
            f"{' ...' if len(repeated) == SHOWN_IDS else ''}. Mend the source, or choose another id column; nothing was published"
        )


def check_elsewhere(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Refuse events that other dates have published; snapshots may come back on every date.

    Parameters
    ----------
    connection
        To a warehouse with tables, that can read the staged files.
    release : Release

    Raises
    ------
    InvalidInputError
        Names dates and ids.
    """
    if release.entity != "event" or release.staged is None or not release.staged.paths:
        return
    values = {
        "paths": uris(release.staged.filesystem, release.staged.paths),
        "segmentation": release.segmentation,
        "dates": [publication.dt for publication in release.publications],
    }
    if not connection.execute(ELSEWHERE, values).fetchall():
        return
    known = connection.execute(
        """SELECT fresh.dt, fresh.id, known.dt FROM read_parquet($paths) AS fresh
        JOIN current_assignments AS known ON known.id = fresh.id AND known.segmentation = $segmentation
        WHERE NOT list_contains($dates, known.dt) ORDER BY ALL LIMIT $shown""",
        {**values, "shown": SHOWN_IDS},
    ).fetchall()
    if known:
        listed = "; ".join(f"{id_!r} of {dt} is published for {other}" for dt, id_, other in known)
        raise InvalidInputError(
            f"an event's id occurs once in the lake, but in run {release.run_id} of {release.segmentation!r} {listed}"
            f"{' ...' if len(known) == SHOWN_IDS else ''}. Mend the source; or, where that date was rewritten, repeat it "
            'first (--date); or set entity = "snapshot" where ids may come back. Nothing was published'
        )


def check_undecided(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Refuse a change of champion where a night or another change was published since it was planned.

    Which model is the previous one, and from which night on the new one counts, may no longer be what was meant.

    Parameters
    ----------
    connection
        To a warehouse with tables.
    release : Release

    Raises
    ------
    InvalidInputError
        Names what was published, and the model in force.
    """
    change = release.publications[0]
    if change.kind not in CHAMPION_CHANGES or "runs" not in release.tables:
        return
    (run,) = release.tables["runs"].to_pylist()
    values = {"segmentation": release.segmentation, "began": run["started_at"]}
    if decided := connection.execute(DECIDED_SINCE, values).fetchall():
        ((kind, dt, champion),) = decided
        raise InvalidInputError(overtaken(change, kind, dt, champion))


def overtaken(change: Publication, kind: str, dt: date, champion: str | None) -> str:
    """Return what who changes a champion is told where others published meanwhile: what, and the model in force since."""
    mine, other = (NOUNS.get(one, one) for one in (change.kind, kind))
    return (
        f"the {mine} of {change.segmentation!r} to model {change.model_id} was planned before the {other} of {dt} was "
        f"published, after which model {champion} is in force. Nothing was changed; look at gmmdask models list, and ask for "
        f"the {mine} again if it is still wanted"
    )


def register_staged(connection: duckdb.DuckDBPyConnection, staged: StagedRows) -> None:
    """Let a connection read staged files that do not lie on a local disk."""
    if is_local(staged.filesystem):
        return
    for folder in {path.rpartition("/")[0] for path in staged.paths}:
        # DuckDB asks seven times about every file; a listing answers from memory.
        with reaching(folder):
            staged.filesystem.invalidate_cache(folder)
            staged.filesystem.ls(folder, detail=True)
    connection.register_filesystem(staged.filesystem)

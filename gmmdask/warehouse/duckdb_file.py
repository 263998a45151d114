"""The warehouse as one DuckDB file: everything of a run enters in one transaction.

Staged Parquet is read by DuckDB itself, through the registered fsspec filesystem where it does not lie on a local disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from gmmdask.errors import WarehouseError
from gmmdask.warehouse.checks import check_elsewhere, check_staged, check_undecided, register_staged
from gmmdask.warehouse.connection import Limits, Patience, create_file, opened
from gmmdask.warehouse.files import uris
from gmmdask.warehouse.names import check_nameable, checked_name
from gmmdask.warehouse.port import Queries, pass_by
from gmmdask.warehouse.release import Release, StagedRows
from gmmdask.warehouse.schema import conform, create_table, create_view, quote
from gmmdask.warehouse.staging import STAGED_ASSIGNMENTS
from gmmdask.warehouse.tables import ASSIGNMENTS, PUBLICATIONS, TABLES
from gmmdask.warehouse.views import CHAMPION_BEFORE, CHOSEN_SINCE, LATEST_LABELS, VIEWS

PUBLISHED = "SELECT 1 FROM publications WHERE run_id = $run_id LIMIT 1"
ANY_PUBLICATION = "SELECT 1 FROM publications LIMIT 1"
SHOWN_NAMES = 5
SEGMENT_NAMES = """SELECT segment_id, max(name) FROM segments
    WHERE run_id IN (SELECT run_id FROM publications WHERE segmentation = $segmentation)
    GROUP BY segment_id ORDER BY segment_id"""
NAME_SEGMENT = """UPDATE segments SET name = $name WHERE segment_id = $segment_id
    AND run_id IN (SELECT run_id FROM publications WHERE segmentation = $segmentation)"""


_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenFile:
    """A DuckDB file while it is held open to be read."""

    connection: duckdb.DuckDBPyConnection

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the result of a query; see `Queries.query`."""
        result: pa.Table = self.connection.sql(sql, params=dict(parameters or {})).to_arrow_table()
        return result


@dataclass(frozen=True, kw_only=True, slots=True)
class DuckDBFile:
    """A warehouse in one DuckDB file; see `gmmdask.warehouse.port.Warehouse` for what it does.

    Parameters
    ----------
    path : str
        The file; it is created by the first publication, its folder is not.
    limits : Limits
        Memory, threads and spill folder of DuckDB.
    patience : Patience
        How long to wait while others hold the file.
    now : callable
        The time of a publication.
    """

    path: str
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], datetime] = _now

    def publish(self, release: Release, *, at: Callable[[str], None] = pass_by) -> bool:
        """Publish a release in one transaction; see `Warehouse.publish`."""
        if self._is_published(release):
            return False
        if release.staged is not None:
            check_staged(release.staged, release, self.limits, self.path)
        at("checked")
        create_file(self.path, self.limits)
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=False) as connection:
            at("opened")
            if release.staged is not None:
                register_staged(connection, release.staged)
                # The order of rows in a table means nothing; keeping it costs memory and a slow end.
                connection.execute("SET preserve_insertion_order = false")
            published = self._transact(connection, release, at)
            at("committed")
        at("closed")
        return published

    def _transact(self, connection: duckdb.DuckDBPyConnection, release: Release, at: Callable[[str], None]) -> bool:
        connection.begin()
        _create(connection, self.path)
        at("created")
        if release.run_id is not None and _is_published(connection, release.run_id):
            connection.rollback()
            return False
        check_undecided(connection, release)
        check_elsewhere(connection, release)
        for name, rows in release.tables.items():
            _insert(connection, name, rows)
            at(f"table {name}")
        if "segments" in release.tables:
            _inherit_names(connection, release)
        if release.staged is not None:
            _load(connection, release, release.staged)
            at("table assignments")
        _insert(connection, PUBLICATIONS.name, _publication_rows(connection, release, self.now()))
        at("table publications")
        connection.commit()
        return True

    def check(self, release: Release) -> None:
        """Refuse what could not be published; see `Warehouse.check`."""
        if release.staged is None or self._value(ANY_PUBLICATION, {}) is None:
            return
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=True) as connection:
            register_staged(connection, release.staged)
            check_elsewhere(connection, release)

    def remove_superseded(self) -> int:
        """Remove assignments that no view shows; see `Warehouse.remove_superseded`."""
        if self._value(ANY_PUBLICATION, {}) is None:
            return 0
        statement = f"""DELETE FROM assignments AS a WHERE NOT EXISTS (
            SELECT 1 FROM publications AS p
            WHERE p.segmentation = a.segmentation AND p.dt = a.dt AND p.run_id = a.run_id
              AND p.publication_id IN ({LATEST_LABELS}))"""  # noqa: S608
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=False) as connection:
            ((removed,),) = connection.execute(statement).fetchall()
            connection.execute("CHECKPOINT")
        return int(removed)

    def name_segment(self, segmentation: str, segment_id: int, name: str | None) -> None:
        """Name a segment in every run; see `Warehouse.name_segment`."""
        chosen = None if name is None else checked_name(name)
        if self._value(ANY_PUBLICATION, {}) is None:
            check_nameable(segmentation, segment_id, chosen, {})
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=False) as connection:
            known = dict(connection.execute(SEGMENT_NAMES, {"segmentation": segmentation}).fetchall())
            check_nameable(segmentation, segment_id, chosen, known)
            values = {"segmentation": segmentation, "segment_id": segment_id, "name": chosen}
            connection.execute(NAME_SEGMENT, values)

    def champion_before(self, segmentation: str, dt: date) -> str | None:
        """Return the model in force before a date; see `Warehouse.champion_before`."""
        return self._value(CHAMPION_BEFORE, {"segmentation": segmentation, "dt": dt})

    def published_run(self, run_key: str) -> str | None:
        """Return the run published under a key; see `Warehouse.published_run`."""
        return self._value("SELECT run_id FROM runs WHERE run_key = $run_key", {"run_key": run_key})

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the result of a query; see `Warehouse.query`."""
        if not Path(self.path).exists():
            raise WarehouseError(f"there is no warehouse {self.path} yet: the first published run creates it")
        with self.reading() as connection:
            return connection.query(sql, parameters)

    @contextmanager
    def reading(self) -> Iterator[Queries]:
        """Keep the file open for reading: see `Warehouse.reading`. DuckDB opens it once for all of a process."""
        if not Path(self.path).exists():
            yield self
            return
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield OpenFile(connection=connection)

    def _value(self, sql: str, parameters: Mapping[str, Any]) -> str | None:
        """Return the first value of a query, or None: also before the first publication."""
        if not Path(self.path).exists():
            return None
        with opened(self.path, limits=self.limits, patience=self.patience, read_only=True) as connection:
            # A crash in the very first transaction leaves a file without tables.
            exists = PUBLICATIONS.name in _own_columns(connection, self.path)
            rows = connection.execute(sql, dict(parameters)).fetchall() if exists else []
        return str(rows[0][0]) if rows else None

    def _is_published(self, release: Release) -> bool:
        return release.run_id is not None and self._value(PUBLISHED, {"run_id": release.run_id}) is not None


def _create(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Create the tables that are absent, and renew the views."""
    present = _own_columns(connection, path)
    for name, table in TABLES.items():
        if name not in present:
            for statement in create_table(table):
                connection.execute(statement)
    for view in VIEWS.values():
        for statement in create_view(view):
            connection.execute(statement)


def _own_columns(connection: duckdb.DuckDBPyConnection, path: str) -> dict[str, list[tuple[str, str]]]:
    """Return the columns of a warehouse's tables; refuse a database that is something else."""
    present = _columns(connection)
    if present and not present.keys() & TABLES.keys():
        listed = ", ".join([*list(present)[:SHOWN_NAMES], *(["..."] if len(present) > SHOWN_NAMES else [])])
        raise WarehouseError(
            f"{path} is not a warehouse but a DuckDB file of something else, with {listed}. Name another file"
        )
    for name, table in TABLES.items():
        expected = [(column.name, column.type) for column in table.columns]
        if name in present and present[name] != expected:
            raise WarehouseError(_differs(path, name, present[name], expected))
    return present


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in connection.execute(
        """SELECT table_name, column_name, data_type FROM duckdb_columns()
        WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal ORDER BY table_name, column_index"""
    ).fetchall():
        found.setdefault(table, []).append((column, type_))
    return found


def _differs(path: str, name: str, present: list[tuple[str, str]], expected: list[tuple[str, str]]) -> str:
    different = [f"{column} {type_}" for column, type_ in sorted(set(present) ^ set(expected))]
    more = ["..."] if len(different) > SHOWN_NAMES else []
    listed = ", ".join([*different[:SHOWN_NAMES], *more]) or "their order"
    return (
        f"table {name} of warehouse {path} is not the one this version writes; they differ in {listed}. "
        "Name another file as the warehouse, or use the version of gmmdask that wrote this one"
    )


def _is_published(connection: duckdb.DuckDBPyConnection, run_id: str) -> bool:
    return bool(connection.execute(PUBLISHED, {"run_id": run_id}).fetchall())


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    columns = ", ".join(map(quote, rows.column_names))
    connection.register("incoming_rows", rows)
    connection.execute(f"INSERT INTO {quote(name)} ({columns}) SELECT {columns} FROM incoming_rows")  # noqa: S608
    connection.unregister("incoming_rows")


def _load(connection: duckdb.DuckDBPyConnection, release: Release, staged: StagedRows) -> None:
    if not staged.paths:
        return
    columns = ", ".join(quote(column.name) for column in STAGED_ASSIGNMENTS.columns)
    connection.execute(
        f"""INSERT INTO {quote(ASSIGNMENTS.name)} (segmentation, run_id, {columns})
        SELECT $segmentation, $run_id, {columns} FROM read_parquet($paths)""",  # noqa: S608
        {
            "segmentation": release.segmentation,
            "run_id": release.run_id,
            "paths": uris(staged.filesystem, staged.paths),
        },
    )


def _inherit_names(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Give the new run's segments the names that their ids have in published runs."""
    connection.execute(
        """UPDATE segments SET name = (
            SELECT max(known.name) FROM segments AS known JOIN publications AS p ON p.run_id = known.run_id
            WHERE p.segmentation = $segmentation AND known.segment_id = segments.segment_id)
        WHERE run_id = $run_id AND name IS NULL""",
        {"segmentation": release.segmentation, "run_id": release.run_id},
    )


def _publication_rows(connection: duckdb.DuckDBPyConnection, release: Release, now: datetime) -> pa.Table:
    """Return the rows of `publications`; a champion chosen by hand since the run began stays the champion."""
    ((last,),) = connection.execute("SELECT coalesce(max(publication_id), 0) FROM publications").fetchall()
    chosen = _chosen_meanwhile(connection, release)
    rows = [
        {"publication_id": last + number, "published_at": now, **{name: getattr(publication, name) for name in _GIVEN}}
        for number, publication in enumerate(sorted(release.publications, key=lambda one: one.dt), start=1)
    ]
    if chosen is not None:
        rows = [row if row["champion_id"] is None else {**row, "champion_id": chosen} for row in rows]
    return conform(PUBLICATIONS, rows, {})


def _chosen_meanwhile(connection: duckdb.DuckDBPyConnection, release: Release) -> str | None:
    """Return the champion that was promoted or rolled back to while a night was computed or waited, if any."""
    if "runs" not in release.tables or all(publication.kind != "night" for publication in release.publications):
        return None
    (run,) = release.tables["runs"].to_pylist()
    found = connection.execute(
        CHOSEN_SINCE, {"segmentation": release.segmentation, "began": run["started_at"]}
    ).fetchall()
    if not found:
        return None
    ((chosen,),) = found
    _log.warning("the model %s, chosen by hand while run %s was computed, stays in force", chosen, release.run_id)
    return str(chosen)


_GIVEN = ("segmentation", "kind", "dt", "run_id", "model_id", "champion_id")

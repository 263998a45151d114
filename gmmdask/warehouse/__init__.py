"""Tables, staging and publication: how results reach readers, all of a run or none.

Workers stage rows as Parquet (`staging`), the driver publishes a run in one transaction through the port (`port`). The
tables are data (`tables`, `views`). DuckDB is the first database behind the port (`duckdb_file`). Computing what is
published is no business of this package.
"""

from __future__ import annotations

from gmmdask.errors import InvalidInputError
from gmmdask.warehouse.checks import check_staged
from gmmdask.warehouse.connection import Limits, Patience
from gmmdask.warehouse.duckdb_file import DuckDBFile
from gmmdask.warehouse.port import Queries, Warehouse, pass_by
from gmmdask.warehouse.release import Publication, Release, StagedFile, StagedRows, conform_tables
from gmmdask.warehouse.staging import Attempt, Staging, open_staging

__all__ = [
    "Attempt",
    "Limits",
    "Patience",
    "Publication",
    "Queries",
    "Release",
    "StagedFile",
    "StagedRows",
    "Staging",
    "Warehouse",
    "check_staged",
    "conform_tables",
    "open_staging",
    "open_warehouse",
    "pass_by",
]


def open_warehouse(uri: str, *, limits: Limits | None = None, publish_timeout: float = 600.0) -> Warehouse:
    """Return the warehouse behind a URI; nothing is opened or created yet.

    Parameters
    ----------
    uri : str
        `duckdb:///absolute/path`, `duckdb://relative/path`, or a plain path that ends in `.duckdb`.
    limits : Limits, optional
        What the database may use in this process.
    publish_timeout : float, default 600
        Seconds to wait while another process holds the warehouse.

    Raises
    ------
    InvalidInputError
        No database is known for such a URI.
    """
    scheme, separator, rest = uri.partition("://")
    path = rest if separator and scheme == "duckdb" else uri
    if not path or (separator and scheme != "duckdb") or not (separator or path.endswith(".duckdb")):
        # The URI itself may hold a password: only its scheme is repeated.
        given = f"a {scheme}:// URI" if separator else "a path without the ending .duckdb"
        raise InvalidInputError(f"a warehouse is duckdb:///path or a path ending in .duckdb, not {given}")
    return DuckDBFile(path=path, limits=limits or Limits(), patience=Patience(timeout=publish_timeout))

"""Lakes written for one test, and one small cluster for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

Tables = Mapping[str, pa.Table]
WriteLake = Callable[..., str]


def write_files(folder: Path, tables: Tables, group_rows: int = 3) -> str:
    """Write tables by relative path and return the folder."""
    for path, table in tables.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / path, row_group_size=group_rows, write_page_checksum=True)
    return str(folder)


@pytest.fixture
def write_lake(tmp_path: Path) -> WriteLake:
    def write(tables: Tables, group_rows: int = 3) -> str:
        return write_files(tmp_path / "lake", tables, group_rows)

    return write


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as connected,
    ):
        yield connected

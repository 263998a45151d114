"""Generated lakes in a temporary folder, and a cluster of two single-threaded workers to read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from benchmarks.data import overlapping_components

WORKERS = 2


@contextmanager
def written_lake(n_rows: int, n_features: int, *, seed: int = 0, n_files: int = 16) -> Iterator[str]:
    """Write the rows as Parquet files of one row group each and give the folder's address; removed at the end."""
    rows = overlapping_components(n_rows, n_features, seed=seed)
    per_file = -(-n_rows // n_files)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_files):
            part = rows[number * per_file : (number + 1) * per_file]
            columns = {f"x{feature}": pa.array(part[:, feature]) for feature in range(n_features)}
            pq.write_table(pa.table(columns), Path(folder) / f"part-{number:03d}.parquet", row_group_size=per_file)
        del rows
        yield folder


@contextmanager
def cluster(*, processes: bool = True) -> Iterator[Client]:
    """Give a client of two workers of one thread each; without processes they are threads of this one."""
    workers = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=WORKERS, threads_per_worker=1, processes=processes, dashboard_address="127.0.0.1:0"
    )
    with workers, Client(workers, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client

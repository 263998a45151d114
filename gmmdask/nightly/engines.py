"""The engine that the settings ask for, opened for as long as a step needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gmmdask.engine import Engine, LocalEngine
from gmmdask.settings import Cluster


@contextmanager
def open_engine(cluster: Cluster) -> Iterator[Engine]:
    """Open the engine of `[cluster]` and close what was started for it.

    Raises
    ------
    ClusterError
        Nothing answers at the address, or no worker came.
    """
    if cluster.address is None and cluster.workers is None:
        yield LocalEngine(cluster.threads)
        return
    from gmmdask.engine import dask as on_dask

    if cluster.address is not None:
        client = on_dask.connect(cluster.address, cluster.timeout)
    else:
        client = on_dask.start_local(cluster.workers or 1, cluster.threads)
    with client:
        yield on_dask.DaskEngine(client, timeout=cluster.timeout)

"""The part of a Dask graph that makes one partition, and results that only a cluster has.

What a partition is made into belongs to `gmmdask.lake.dask_collections`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dask.array as da
import distributed
import numpy as np
from dask._task_spec import Task, TaskRef, convert_legacy_graph
from dask.base import is_dask_collection as is_collection
from dask.base import optimize
from dask.core import flatten

from gmmdask.errors import ClusterError, InvalidInputError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """How to make one partition: a graph, the keys of its values and weights, and what only a cluster has.

    Parameters
    ----------
    graph : mapping
        The tasks that the partition needs.
    values, weights : hashable
        Keys of the results.
    external : tuple of hashable
        Keys of results that are not in the graph but kept by a cluster.
    rows : int, optional
        Number of rows, if the collection knows.
    """

    graph: Mapping[Hashable, Any]
    values: Hashable
    weights: Hashable | None
    external: tuple[Hashable, ...]
    rows: int | None


def blocks_of(collection: Any, beside: Any, rows: Sequence[int | None]) -> tuple[Block, ...]:
    """Return how to make each partition of a collection, with the partition of `beside` that holds its weights."""
    collections = [collection] if beside is None else [collection, beside]
    graph: dict[Hashable, Any] = {}
    for part in optimize(*collections):  # type: ignore[no-untyped-call]
        graph.update(part.__dask_graph__())
    tasks = convert_legacy_graph(
        {key: task for key, task in graph.items() if not isinstance(task, distributed.Future)}, all_keys=set(graph)
    )
    values = list(flatten([collection.__dask_keys__()]))  # type: ignore[no-untyped-call]
    weights = [None] * len(values) if beside is None else list(flatten([beside.__dask_keys__()]))  # type: ignore[no-untyped-call]
    return tuple(_block(tasks, *keys) for keys in zip(values, weights, rows, strict=True))


def _block(tasks: Mapping[Hashable, Any], values: Hashable, weights: Hashable | None, rows: int | None) -> Block:
    graph: dict[Hashable, Any] = {}
    external: set[Hashable] = set()
    wanted = [values] if weights is None else [values, weights]
    while wanted:
        key = wanted.pop()
        if key not in tasks:
            external.add(key)
        elif key not in graph:
            graph[key] = tasks[key]
            wanted.extend(tasks[key].dependencies)
    return Block(graph=graph, values=values, weights=weights, external=tuple(sorted(external, key=str)), rows=rows)


def weights_beside(weights: Any, partitions: int, rows: Sequence[int | None]) -> Any:
    """Return row weights as a Dask array with the partitions of the collection.

    Raises
    ------
    InvalidInputError
        They do not fit the collection's rows or partitions.
    """
    known = None not in rows
    if _is_series(weights):
        weights = weights.to_dask_array()
    if not isinstance(weights, da.Array):
        if not known:
            raise InvalidInputError(
                "a plain array of weights needs known partition sizes; name a column, or give a Dask one"
            )
        plain = np.asarray(weights, dtype=np.float64)
        if plain.shape != (sum(row or 0 for row in rows),):
            raise InvalidInputError(f"weights of shape {plain.shape} do not fit {sum(row or 0 for row in rows)} rows")
        weights = da.from_array(plain, chunks=(tuple(rows),))  # type: ignore[no-untyped-call]
    if weights.ndim != 1 or (known and weights.shape[0] != sum(row or 0 for row in rows) and weights.shape[0] >= 0):
        raise InvalidInputError(f"weights of shape {weights.shape} do not fit the rows of the collection")
    if known and None not in known_rows(weights):
        return weights.rechunk((tuple(rows),))
    if weights.numblocks[0] != partitions:
        raise InvalidInputError(f"weights in {weights.numblocks[0]} partitions do not fit {partitions}")
    return weights


def known_rows(array: Any) -> list[int | None]:
    """Return the rows of each partition of an array, None where Dask does not know them."""
    return [None if np.isnan(rows) else int(rows) for rows in array.chunks[0]]


def _is_series(data: object) -> bool:
    return is_collection(data) and hasattr(type(data), "to_dask_array")


def gather(keys: Sequence[Hashable], client: Any = None) -> dict[Hashable, Any]:
    """Return results that a cluster keeps, from a worker's task or from the client's process.

    Raises
    ------
    ClusterError
        There is no connection to a cluster.
    """
    if not keys:
        return {}
    if _is_on_worker():
        with distributed.worker_client() as own:
            return _gather(own, keys)
    client = client or _current_client()
    if client is None:
        raise ClusterError(
            "the collection holds results on a Dask cluster and this process has no client; create the Client first"
        )
    return _gather(client, keys)


def _current_client() -> Any:
    try:
        return distributed.get_client()
    except ValueError:
        return None


def client_of(blocks: Sequence[Block], origin: Sequence[Any]) -> Any:
    """Return the client that keeps results which the blocks need, or None where they need none."""
    if not any(block.external for block in blocks):
        return None
    known = [collection for collection in origin if collection is not None]
    futures = distributed.futures_of(known)  # type: ignore[no-untyped-call]
    return futures[0].client if futures else _current_client()


def _gather(client: Any, keys: Sequence[Any]) -> dict[Hashable, Any]:
    # A task that depends on the keys is the one public way to results whose futures live in another process.
    name = f"hand-over-{uuid4().hex}"
    results = client.get({name: Task(name, _hand_over, *(TaskRef(key) for key in keys))}, name)
    return dict(zip(keys, results, strict=True))


def _hand_over(*results: Any) -> tuple[Any, ...]:
    return results


def _is_on_worker() -> bool:
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True

"""Dask arrays and DataFrames as sources: what `compute` gives, partition by partition, here and on a cluster."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmmdask.errors import ClusterError, InvalidInputError, SchemaError, UnknownNameError, UnreadablePartitionError
from gmmdask.lake.dask_collections import DaskCollectionSource, is_dask_collection, source_of

FRAME = pd.DataFrame(
    {
        "a": [1.0, np.nan, 3.0, 4.0, 5.0, 6.0],
        "b": pd.array([1, 2, None, 4, 5, 6], dtype="Int64"),
        "c": [True, False, True, True, False, False],
        "name": list("uvwxyz"),
        "w": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


def read_values(source: DaskCollectionSource) -> NDArray[Any]:
    leaves = [leaf for number in range(len(source.partitions)) for leaf in source.read(number)]
    return np.concatenate([np.empty((len(source.features), 0)), *(leaf.values for leaf in leaves)], axis=1)


def read_weights(source: DaskCollectionSource) -> list[float]:
    leaves = [leaf for number in range(len(source.partitions)) for leaf in source.read(number)]
    return [weight for leaf in leaves if leaf.weights is not None for weight in leaf.weights.tolist()]


def as_floats(frame: pd.DataFrame, names: list[str]) -> NDArray[np.float64]:
    return np.array([[np.nan if pd.isna(cell) else float(cell) for cell in frame[name]] for name in names])


@given(
    chunks=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    columns=st.lists(st.integers(1, 2), min_size=1, max_size=3),
    dtype=st.sampled_from([np.float64, np.float32, np.int32]),
)
def test_an_array_in_any_chunks_reads_as_what_it_is(chunks: list[int], columns: list[int], dtype: Any) -> None:
    shape = (sum(chunks), sum(columns))
    values = np.arange(shape[0] * shape[1], dtype=dtype).reshape(shape)
    array = da.from_array(values, chunks=((shape[0],), (shape[1],))).rechunk((tuple(chunks), tuple(columns)))
    weights = np.arange(shape[0], dtype=np.float64)
    source = pickle.loads(pickle.dumps(source_of(array, weights=weights)))
    assert [partition.rows for partition in source.partitions] == chunks
    np.testing.assert_array_equal(read_values(source), values.T)
    assert read_weights(source) == weights.tolist()
    assert all(leaf.values.dtype == source.dtype for leaf in source.read(0))
    assert source.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_a_frame_reads_as_its_numeric_columns() -> None:
    source = source_of(dd.from_pandas(FRAME, npartitions=3), weights="w")
    assert source.features == ("a", "b", "c")
    assert [partition.rows for partition in source.partitions] == [None] * 3
    np.testing.assert_array_equal(read_values(source), as_floats(FRAME, ["a", "b", "c"]))
    assert read_weights(source) == FRAME["w"].tolist()


def test_weights_beside_a_frame_follow_its_partitions() -> None:
    frame = dd.from_pandas(FRAME, npartitions=3)
    source = source_of(frame, features=["c", "a"], weights=frame["w"] * 2)
    assert read_weights(source) == (FRAME["w"] * 2).tolist()
    np.testing.assert_array_equal(read_values(source), as_floats(FRAME, ["c", "a"]))


def test_weights_in_other_chunks_are_brought_into_line() -> None:
    array = da.zeros((6, 1), chunks=(2, 1))
    assert read_weights(source_of(array, weights=da.arange(6, chunks=4))) == [0, 1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask's own reader, with pandas 3.1
def test_files_and_chains_of_steps_read_on_demand(tmp_path: Path) -> None:
    for number, rows in enumerate([slice(0, 4), slice(4, 6)]):
        FRAME[["a", "w"]].iloc[rows].to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    frame = (
        dd.read_parquet(tmp_path).map_partitions(lambda part: part[part["w"] != 2.0]).assign(twice=lambda f: f["w"] * 2)
    )
    source = pickle.loads(_cloudpickled(source_of(frame, features=["twice", "a"])))
    expected = FRAME[FRAME["w"] != 2.0].assign(twice=lambda f: f["w"] * 2)
    np.testing.assert_array_equal(read_values(source), as_floats(expected, ["twice", "a"]))


def test_an_array_of_unknown_length_reads_too() -> None:
    frame = dd.from_pandas(FRAME, npartitions=3)
    source = source_of(frame[["w", "a"]].to_dask_array(), weights=frame["w"])
    assert [partition.rows for partition in source.partitions] == [None] * 3
    np.testing.assert_array_equal(read_values(source), as_floats(FRAME, ["w", "a"]))


def test_a_partition_holds_only_the_tasks_it_needs() -> None:
    """A source of in-memory blocks pickles to about their size, not to their number times that."""
    array = da.from_array(np.random.default_rng(0).random((1000, 10)), chunks=(100, 10)) + 1
    source = source_of(array)
    assert all(len(block.graph) <= 3 and not block.external for block in source.blocks)
    assert len(pickle.dumps(source)) < 1.5 * 80_000


def test_equal_collections_have_equal_fingerprints_and_others_do_not() -> None:
    def made(scale: float) -> str:
        return source_of(da.from_array(np.arange(6.0).reshape(3, 2), chunks=(2, 2)) * scale).fingerprint

    assert made(1.0) == made(1.0) != made(2.0)


@pytest.mark.parametrize("kind", ["array", "frame", "derived array", "derived frame", "delayed frame"])
def test_persisted_collections_read_on_workers_and_here(client: Client, kind: str) -> None:
    """The blocks stay on the cluster: a task on a worker gathers what its partition needs."""
    with client.as_current():
        collection, expected = _persisted(kind, client)
        source = source_of(collection)
        assert any(block.external for block in source.blocks)
        np.testing.assert_array_equal(read_values(source), expected)
        futures = [
            client.submit(_read_on_worker, source, number, pure=False) for number in range(len(source.partitions))
        ]
        np.testing.assert_array_equal(np.hstack(client.gather(futures)), expected)


def test_results_still_being_computed_do_not_lock_the_only_thread_of_each_worker(client: Client) -> None:
    """Readers start before the blocks that they need: they must give their thread back while they wait."""
    with client.as_current():
        array = da.arange(8, chunks=2).reshape((8, 1)).map_blocks(_identity, dtype=np.int64).persist()
        source = source_of(array)
        futures = [client.submit(_read_on_worker, source, n, pure=False, priority=10) for n in range(4)]
        np.testing.assert_array_equal(np.hstack(client.gather(futures)), [np.arange(8.0)])


def test_persisted_results_live_as_long_as_the_source(client: Client) -> None:
    with client.as_current():
        source = source_of(da.ones((4, 1), chunks=(2, 1)).persist() + 1)
        np.testing.assert_array_equal(read_values(source), [[2.0] * 4])


def test_persisted_results_without_a_client_are_an_error_of_the_cluster(client: Client) -> None:
    with client.as_current():
        stored = pickle.dumps(source_of(da.ones((4, 1), chunks=(2, 1)).persist()))
    with pytest.raises(ClusterError, match="no client"):
        list(pickle.loads(stored).read(0))


def test_a_block_that_cannot_be_made_is_named() -> None:
    def fail(part: pd.DataFrame) -> pd.DataFrame:
        raise RuntimeError("boom")

    source = source_of(dd.from_pandas(FRAME, npartitions=2)[["a"]].map_partitions(fail, meta={"a": "f8"}))
    with pytest.raises(UnreadablePartitionError, match=r"partition 1 .*RuntimeError: boom"):
        list(source.read(1))


def test_blocks_other_than_announced_are_refused() -> None:
    frame = dd.from_pandas(FRAME[["a", "w"]], npartitions=2)
    renamed = frame.map_partitions(lambda part: part.rename(columns={"a": "aa"}), meta=frame._meta)
    with pytest.raises((SchemaError, UnreadablePartitionError), match="partition 0"):
        list(source_of(renamed).read(0))
    short = da.ones((4, 1), chunks=(2, 1)).map_blocks(lambda block: block[:1], dtype=float, chunks=((2, 2), (1,)))
    with pytest.raises(UnreadablePartitionError, match="has 1 rows and its chunks say 2"):
        list(source_of(short).read(0))


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_weights_are_checked_where_they_are_read(wrong: float) -> None:
    source = source_of(da.zeros((4, 1), chunks=(2, 1)), weights=np.array([1.0, 1.0, 1.0, wrong]))
    with pytest.raises(InvalidInputError, match="row 1 of partition 1"):
        list(source.read(1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: source_of([1, 2]), InvalidInputError, "list is neither"),
        (lambda: source_of(da.zeros(3)), InvalidInputError, "shape"),
        (lambda: source_of(da.zeros((3, 2)), features=["a"]), InvalidInputError, "2 columns"),
        (lambda: source_of(da.zeros((3, 2)), weights=[1.0]), InvalidInputError, "do not fit 3 rows"),
        (lambda: source_of(da.zeros((3, 2)), weights=da.ones(2)), InvalidInputError, "do not fit"),
        (lambda: source_of(da.from_array(np.array([["x"]]))), SchemaError, "numbers are needed"),
        (lambda: source_of(_frame(), features=["name"]), SchemaError, "'name' is str"),
        (lambda: source_of(_frame(), features=["nam"]), UnknownNameError, "did you mean 'name'"),
        (lambda: source_of(_frame(), features=["a", "a"]), InvalidInputError, "different"),
        (lambda: source_of(_frame(), features=["w"], weights="w"), InvalidInputError, "without the weight"),
        (lambda: source_of(_frame(), weights=np.ones(6)), InvalidInputError, "known partition sizes"),
        (lambda: source_of(_frame(), weights=da.ones(6, chunks=6)), InvalidInputError, "1 partitions do not fit 2"),
    ],
)
def test_what_cannot_be_a_source_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_only_arrays_and_frames_are_collections_here() -> None:
    found = [is_dask_collection(data) for data in (da.zeros(3), _frame(), np.zeros(3), FRAME, dask.delayed(1))]
    assert found == [True, True, False, False, False]


def _frame() -> Any:
    return dd.from_pandas(FRAME, npartitions=2)


def _persisted(kind: str, client: Client) -> tuple[Any, NDArray[Any]]:
    if kind == "delayed frame":
        parts = [client.submit(pd.DataFrame, {"a": column}) for column in ([1.0, 2.0], [3.0])]
        return dd.from_delayed(parts, meta=pd.DataFrame({"a": [0.0]})) + 1, np.array([[2.0, 3.0, 4.0]])
    if "frame" in kind:
        frame = dd.from_pandas(FRAME[["a", "w"]], npartitions=2).persist()
        values = as_floats(FRAME, ["a", "w"])
        return (frame + 1, values + 1) if kind.startswith("derived") else (frame, values)
    array = da.arange(12, chunks=4).reshape((6, 2)).persist()
    values = np.arange(12.0).reshape(6, 2).T
    return (array * 2, values * 2) if kind.startswith("derived") else (array, values)


def _read_on_worker(source: DaskCollectionSource, number: int) -> NDArray[Any]:
    leaves = [leaf.values for leaf in source.read(number)]
    return np.concatenate([np.empty((len(source.features), 0)), *leaves], axis=1)


def _identity(block: NDArray[Any]) -> NDArray[Any]:
    return block


def _cloudpickled(source: DaskCollectionSource) -> bytes:
    from distributed.protocol.pickle import dumps

    stored: bytes = dumps(source)
    return stored

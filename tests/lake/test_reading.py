"""Whatever the layout of the files, reading gives the rows that were written, in order and in the right leaves."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmmdask.source
from gmmdask.lake import Lake, open_lake
from gmmdask.source import Leaf
from tests.lake.conftest import WriteLake, write_files

NUMBER_TYPES = [
    pa.float64(),
    pa.float32(),
    pa.float16(),
    pa.int64(),
    pa.int8(),
    pa.uint32(),
    pa.bool_(),
    pa.decimal128(9, 2),
]


@dataclass
class Layout:
    """Files of a generated lake, and the group size they are written with."""

    tables: dict[str, pa.Table]
    group_rows: int
    leaf_rows: int


def columns(data_type: pa.DataType, rows: int) -> st.SearchStrategy[pa.Array]:
    whole = st.integers(0, 100)
    if pa.types.is_boolean(data_type):
        values: st.SearchStrategy[Any] = st.booleans()
    elif pa.types.is_decimal(data_type):
        values = whole.map(lambda number: Decimal(number) / 4)
    elif pa.types.is_floating(data_type):
        values = whole.map(lambda number: np.float16(number / 4) if data_type == pa.float16() else number / 4)
    else:
        values = whole
    cells = st.lists(st.none() | values, min_size=rows, max_size=rows)
    return cells.map(lambda column: pa.array(column, type=data_type))


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    features = draw(st.integers(1, 3))
    folders = st.sampled_from(["", "dt=2013-01-02/", "dt=2013-01-01/", "dt=2012-12-31/k=b/", "dt=2013-01-01/k=a/"])
    names = draw(st.lists(st.tuples(folders, st.sampled_from(["p0", "p1"])), min_size=1, max_size=5, unique=True))
    tables = {}
    for folder, name in names:
        rows = draw(st.sampled_from([0, 1, 2, 7]))
        # The types may differ from file to file: numbers widen.
        types = [draw(st.sampled_from(NUMBER_TYPES)) for _ in range(features)]
        arrays = [draw(columns(data_type, rows)) for data_type in types]
        ids = pa.array([f"{folder}{name}:{row}" for row in range(rows)], type=pa.string())
        tables[f"{folder}{name}.parquet"] = pa.table([ids, *arrays], names=["id", *(f"f{n}" for n in range(features))])
    return Layout(tables, draw(st.sampled_from([1, 2, 5, 100])), draw(st.sampled_from([1, 2, 3, 100])))


def read_all(lake: Lake) -> list[Leaf]:
    return [leaf for position in range(len(lake.partitions)) for leaf in lake.read(position)]


def expected_order(layout: Layout) -> list[str]:
    """By date, then path; without a date everywhere, by path."""
    dated = all(path.startswith("dt=") for path in layout.tables)
    return sorted(layout.tables, key=lambda path: (path[3:13] if dated else "", path))


def as_floats(table: pa.Table, names: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cell by cell, so that it shares nothing with the reader."""
    cells = [[np.nan if cell is None else float(cell) for cell in table[name].to_pylist()] for name in names]
    return np.array(cells, dtype=np.float64).reshape(len(names), len(table))


@settings(max_examples=60, deadline=None)
@given(layout=layouts())
def test_reading_everything_back_gives_the_rows_that_were_written(layout: Layout) -> None:
    """Equal to the bit: every number generated is exact in float16."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(gmmdask.source, "LEAF_ROWS", layout.leaf_rows)
        lake = open_lake(write_files(Path(folder), layout.tables, layout.group_rows), id_column="id").carry("id")
        order = expected_order(layout)
        assert [partition.name for partition in lake.partitions] == order
        names = list(lake.features)
        assert names == [name for name in layout.tables[order[0]].column_names if name != "id"]
        for position, name in enumerate(order):
            leaves = list(lake.read(position))
            table = layout.tables[name]
            values = np.concatenate([np.empty((len(names), 0)), *(leaf.values for leaf in leaves)], axis=1)
            np.testing.assert_array_equal(values, as_floats(table, names))
            ids = [identity for leaf in leaves for identity in leaf.carried["id"].to_pylist()]
            assert ids == table["id"].to_pylist()
            assert lake.partitions[position].rows == len(table)


@settings(max_examples=60, deadline=None)
@given(layout=layouts(), data=st.data())
def test_leaves_are_numbered_within_their_partition_and_any_range_of_them_reads_alike(
    layout: Layout, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(gmmdask.source, "LEAF_ROWS", layout.leaf_rows)
        lake = open_lake(write_files(Path(folder), layout.tables, layout.group_rows), id_column="id")
        for position, partition in enumerate(lake.partitions):
            leaves = list(lake.read(position))
            assert len(leaves) == partition.n_leaves
            assert [(leaf.partition, leaf.index) for leaf in leaves] == [(position, n) for n in range(len(leaves))]
            starts = np.cumsum([0, *(leaf.n_rows for leaf in leaves)])
            assert [leaf.start for leaf in leaves] == starts[:-1].tolist()
            assert all(1 <= leaf.n_rows <= layout.leaf_rows and leaf.values.flags.c_contiguous for leaf in leaves)
            first = data.draw(st.integers(0, len(leaves)))
            stop = data.draw(st.none() | st.integers(first, len(leaves) + 2))
            some = list(lake.read(position, first, stop))
            assert [leaf.index for leaf in some] == [leaf.index for leaf in leaves][first:stop]
            for one, other in zip(some, leaves[first:stop], strict=True):
                np.testing.assert_array_equal(one.values, other.values)


def test_only_single_precision_stays_single_precision(write_lake: WriteLake) -> None:
    single = pa.table({"a": pa.array([1, 2], pa.float32()), "b": pa.array([1, None], pa.float32())})
    double = pa.table({"a": pa.array([1, 2], pa.float32()), "b": pa.array([1.0, 2.0])})
    lake = open_lake(write_lake({"p0.parquet": single, "p1.parquet": double}))
    assert [leaf.values.dtype for leaf in read_all(lake)] == [np.float32, np.float64]
    assert [partition.nbytes for partition in lake.partitions] == [16, 32]


def test_a_dictionary_of_numbers_reads_as_numbers(write_lake: WriteLake) -> None:
    table = pa.table({"a": pa.array([5, None, 7, 5]).dictionary_encode()})
    (leaf,) = open_lake(write_lake({"p.parquet": table}, group_rows=10)).read(0)
    np.testing.assert_array_equal(leaf.values, [[5, np.nan, 7, 5]])


def test_features_come_in_the_order_asked_for_and_columns_may_move_between_files(write_lake: WriteLake) -> None:
    tables = {
        "p0.parquet": pa.table({"a": [1.0], "b": [2.0], "c": [3.0]}),
        "p1.parquet": pa.table({"c": [6.0], "b": [5], "a": [4.0], "new": ["x"]}),
    }
    lake = open_lake(write_lake(tables), features=["c", "a"])
    np.testing.assert_array_equal(np.hstack([leaf.values for leaf in read_all(lake)]), [[3, 6], [1, 4]])


def test_weights_are_read_as_they_stand_and_a_zero_keeps_its_row(write_lake: WriteLake) -> None:
    table = pa.table({"a": [1.0, 2.0, 3.0], "w": pa.array([0, 2, 1], pa.int32())})
    lake = open_lake(write_lake({"p.parquet": table}), weight_column="w")
    (leaf,) = lake.read(0)
    assert lake.features == ("a",)
    assert leaf.weights is not None
    np.testing.assert_array_equal(leaf.weights, [0.0, 2.0, 1.0])
    assert leaf.weights.dtype == np.float64


def test_a_column_that_is_empty_in_the_first_file_is_still_found(write_lake: WriteLake) -> None:
    tables = {"p0.parquet": pa.table({"a": [1.0], "b": pa.nulls(1)}), "p1.parquet": pa.table({"a": [2.0], "b": [3]})}
    lake = open_lake(write_lake(tables))
    assert lake.features == ("a", "b")
    np.testing.assert_array_equal(np.hstack([leaf.values for leaf in read_all(lake)]), [[1, 2], [np.nan, 3]])


def test_partition_values_can_be_carried_like_columns(write_lake: WriteLake) -> None:
    lake = open_lake(write_lake({"dt=2013-01-01/origin=New%20York/p.parquet": pa.table({"a": [1.0, 2.0]})}))
    (leaf,) = lake.carry("dt").carry("origin").read(0)
    assert {name: column.to_pylist() for name, column in leaf.carried.items()} == {
        "dt": ["2013-01-01"] * 2,
        "origin": ["New York"] * 2,
    }


def test_hidden_and_foreign_files_are_no_partitions(write_lake: WriteLake) -> None:
    table = pa.table({"a": [1.0]})
    names = ["p.parquet", "_temporary/q.parquet", ".hidden.parquet", "dt=1/_r.parquet"]
    folder = write_lake(dict.fromkeys(names, table))
    (Path(folder) / "README.txt").write_text("not data")
    assert [partition.name for partition in open_lake(folder).partitions] == ["p.parquet"]


def test_a_single_file_is_a_lake_of_one_partition(write_lake: WriteLake) -> None:
    lake = open_lake(write_lake({"p.parquet": pa.table({"a": [1.0, 2.0]})}) + "/p.parquet")
    np.testing.assert_array_equal([leaf.values for leaf in read_all(lake)], [[[1.0, 2.0]]])


def test_year_month_and_day_keys_make_a_date(write_lake: WriteLake) -> None:
    table = pa.table({"a": [1.0]})
    names = [
        "year=2013/month=2/day=1/p.parquet",
        "year=2013/month=10/day=1/p.parquet",
        "year=2013/month=9/day=30/p.parquet",
    ]
    assert open_lake(write_lake(dict.fromkeys(names, table))).dates == ("2013-02-01", "2013-09-30", "2013-10-01")


def test_a_lake_needs_no_local_path(write_lake: WriteLake) -> None:
    """The same bytes through the in-memory filesystem, which knows no folders of the machine."""
    tables = {f"dt=2013-01-0{day}/p.parquet": pa.table({"a": [float(day), None, 3.0]}) for day in (3, 1, 2)}
    local = write_lake(tables)
    memory = fsspec.filesystem("memory")
    memory.put(local, "/in-memory-lake", recursive=True)
    try:
        here, there = open_lake(local), open_lake("memory://in-memory-lake")
        assert [p.name for p in here.partitions] == [p.name for p in there.partitions]
        assert [p.date for p in there.partitions] == ["2013-01-01", "2013-01-02", "2013-01-03"]
        for one, other in zip(read_all(here), read_all(there), strict=True):
            np.testing.assert_array_equal(one.values, other.values)
    finally:
        memory.rm("/in-memory-lake", recursive=True)


def test_a_relative_address_means_the_same_folder_from_anywhere(
    write_lake: WriteLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(write_lake({"p.parquet": pa.table({"a": [1.0]})}))
    monkeypatch.chdir(folder.parent)
    lake = open_lake(folder.name)
    monkeypatch.chdir("/")
    assert len(read_all(lake)) == 1


def test_a_pickled_lake_reads_the_same_and_is_small(write_lake: WriteLake) -> None:
    table = pa.table({f"column_{number}": [1.0, 2.0] for number in range(20)})
    lake = open_lake(write_lake({f"dt=2013-01-{day:02}/p.parquet": table for day in range(1, 31)}))
    assert lake.partitions
    stored = pickle.dumps(lake)
    again = pickle.loads(stored)
    assert again == lake
    assert again.fingerprint == lake.fingerprint
    assert len(stored) < 300 * 30
    for one, other in zip(read_all(again), read_all(lake), strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_the_fingerprint_follows_content_features_and_partitions(write_lake: WriteLake) -> None:
    def opened(**options: Any) -> Lake:
        return open_lake(folder, **options)

    tables = {f"dt=2013-01-0{day}/p.parquet": pa.table({"a": [1.0], "b": [2.0]}) for day in (1, 2)}
    folder = write_lake(tables)
    first = opened().fingerprint
    assert first == opened().fingerprint == opened().carry("a").fingerprint
    assert first != opened(features=["b", "a"]).fingerprint
    assert first != opened(features=["a"], weight_column="b").fingerprint != opened(features=["a"]).fingerprint
    assert first != opened().where(dt="2013-01-01").fingerprint
    write_lake({"dt=2013-01-02/p.parquet": pa.table({"a": [1.0, 1.0], "b": [2.0, 2.0]})})
    assert first != opened().fingerprint


def test_opening_reads_one_footer_and_narrowing_reads_no_others(
    write_lake: WriteLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    original = gmmdask.lake.manifest.read_footer
    table = pa.table({"a": [1.0]})
    folder = write_lake({f"dt=2013-01-0{day}/p.parquet": table for day in range(1, 6)})

    def counting(location: Any, file: Any) -> Any:
        opened.append(file.path)
        return original(location, file)

    monkeypatch.setattr("gmmdask.lake.manifest.read_footer", counting)
    monkeypatch.setattr("gmmdask.lake.lake.read_footer", counting)
    lake = open_lake(folder)
    assert opened == ["dt=2013-01-01/p.parquet"]
    narrowed = lake.where(dt=("2013-01-02", "2013-01-03"))
    assert narrowed.partitions == narrowed.carry("a").where(dt=lambda value: True).partitions
    assert sorted(opened[1:]) == ["dt=2013-01-02/p.parquet", "dt=2013-01-03/p.parquet"]

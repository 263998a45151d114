"""Every adapter runs under every engine, and gives the same bytes there as under the serial one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import dask.array as da
import numpy as np
import pyarrow as pa
import pytest
from distributed import Client

from gmmdask.engine import LocalEngine
from gmmdask.engine.dask import DaskEngine
from gmmdask.lake import ArraySource, PreparedSource, open_lake
from gmmdask.lake.dask_collections import source_of
from gmmdask.preparation import Recipe
from gmmdask.source import Leaf, Source
from tests.lake.conftest import WriteLake

VALUES = np.random.default_rng(5).normal(size=(40, 2))


@dataclass(frozen=True)
class Total:
    """A sum whose bits depend on the order of adding."""

    rows: int
    total: bytes

    def combine(self, other: Self, /) -> Self:
        added = np.frombuffer(self.total) + np.frombuffer(other.total)
        return type(self)(self.rows + other.rows, added.tobytes())


def add_up(leaf: Leaf) -> Total:
    return Total(leaf.n_rows, np.nansum(leaf.values, axis=1, dtype=np.float64).tobytes())


def make_source(kind: str, write_lake: WriteLake) -> tuple[Source, Any]:
    """Return a source and the rows that it holds."""
    if kind == "array":
        return ArraySource.of(VALUES), VALUES
    if kind == "dask":
        return source_of(da.from_array(VALUES, chunks=(7, 1)) + 0), VALUES
    if kind == "persisted":
        return source_of((da.from_array(VALUES, chunks=(7, 2)) + 1).persist()), VALUES + 1
    cells = VALUES.copy()
    cells[::3, 1] = np.nan
    days = [pa.table({"a": part[:, 0], "b": pa.array(part[:, 1], from_pandas=True)}) for part in np.split(cells, 5)]
    tables = {f"dt=2013-01-0{number}/p.parquet": day for number, day in enumerate(days, start=1)}
    lake = open_lake(write_lake(tables))
    if kind == "lake":
        return lake.where(dt=("2013-01-02", "2013-01-04")), cells[8:32]
    recipe = Recipe.affine(features=("a", "b"), centre=np.array([0.5, 1.0]), scale=np.array([2.0, 4.0]))
    kept = cells[np.isfinite(cells).all(axis=1)]
    return PreparedSource(source=lake, recipe=recipe), (kept - [0.5, 1.0]) / [2.0, 4.0]


@pytest.mark.parametrize("kind", ["array", "dask", "persisted", "lake", "prepared"])
def test_engines_agree_to_the_bit_on_every_kind_of_source(client: Client, write_lake: WriteLake, kind: str) -> None:
    with client.as_current():
        source, rows = make_source(kind, write_lake)
        results = [
            engine.map_reduce(source, add_up, name="total")
            for engine in (LocalEngine(threads=1), LocalEngine(threads=2), DaskEngine(client))
        ]
        with DaskEngine(client).hold(source) as held:
            results += [held.map_reduce(add_up, name=f"total-{number}") for number in range(2)]
    assert results == [results[0]] * 5
    assert results[0].rows == len(rows)
    np.testing.assert_allclose(np.frombuffer(results[0].total), np.nansum(rows, axis=0), rtol=1e-12)

"""A lake of orders with everything that preparation is for: heavy tails, gaps, and columns of categories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import write_day

ROWS = 200
CARRIERS = ("AA", "DL", "UA")

SETTINGS = """
features = ["amount", "age", "carrier", "gift"]
describe = ["colour"]

[segmentation]
name = "orders"

[source]
uri = "lake"
id = "id"

[preparation]
one_hot = ["carrier", "gift"]

[preparation.columns.amount]
transform = "arcsinh"

[preparation.columns.age]
missing = "median"
scale = "minmax"

[grid]
n_components = [1, 2]
covariance_types = ["diag"]

[warehouse]
uri = "house/warehouse.duckdb"
publish_timeout = 0

[registry]
uri = "registry"
"""


def orders(number: int, n: int = ROWS) -> pa.Table:
    """Two kinds of order on one day, the carriers of both alike; every tenth without an age, every 25th without a carrier."""
    rng = np.random.default_rng(number)
    kind = rng.integers(0, 2, n)
    amount = np.where(kind == 0, -40.0, 5_000.0) * rng.lognormal(0, 0.4, n)
    age = np.where(kind == 0, 25.0, 60.0) + rng.normal(size=n) * 3
    age[::10] = np.nan
    carrier = np.array(CARRIERS, dtype=object)[rng.integers(0, 3, n)]
    carrier[5::25] = None
    columns = {
        "id": [f"{number}-{i}" for i in range(n)],
        "amount": amount,
        "age": pa.array(age, from_pandas=True),
        "carrier": pa.array(carrier, pa.string()),
        "gift": pa.array(rng.random(n) < 0.4),
        "colour": pa.array(np.array(["brown", "white"])[kind]),
    }
    return pa.table(columns)


def without(table: pa.Table, column: str) -> pa.Table:
    """Return the table with a column emptied, its type kept."""
    at = table.column_names.index(column)
    return table.set_column(at, column, pa.nulls(len(table), table[column].type))


def changed(table: pa.Table, column: str, rows: slice, value: Any) -> pa.Table:
    """Return the table with some cells of a column set to a value."""
    cells = table[column].to_pylist()
    cells[rows] = [value] * len(cells[rows])
    return table.set_column(table.column_names.index(column), column, pa.array(cells, table[column].type))


def write_settings(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    text = SETTINGS
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    path = root / "birds.toml"  # the name that the tests of nights know
    path.write_text(text)
    return path


def write_world(root: Path, days: int = 2, changes: Mapping[str, str] | None = None) -> Settings:
    for number in range(days):
        write_day(root, number, orders(number))
    return load_settings(write_settings(root, changes))

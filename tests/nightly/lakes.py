"""Small lakes and the settings of their nights, shared by the tests of the night, the command and the flow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmmdask.settings import Settings, load_settings

FIRST_DAY = date(2024, 1, 1)
ROWS = 150

SETTINGS = """
features = ["speed", "weight"]
describe = ["colour"]

[segmentation]
name = "birds"

[source]
uri = "lake"
id = "ring"

[grid]
n_components = [1, 2, 3]
covariance_types = ["diag"]

[warehouse]
uri = "house/warehouse.duckdb"
publish_timeout = 0

[registry]
uri = "registry"

[report]
reports = "none"
trend = false
"""


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def birds(number: int, n: int = ROWS) -> pa.Table:
    """Two kinds of bird on one day; every twentieth was not weighed."""
    rng = np.random.default_rng(number)
    kind = rng.integers(0, 2, n)
    weight = np.where(kind == 0, 20.0, 90.0) + rng.normal(size=n) * 4
    weight[::20] = np.nan
    columns = {
        "ring": [f"{number}-{i}" for i in range(n)],
        "speed": np.where(kind == 0, 9.0, 15.0) + rng.normal(size=n),
        "weight": pa.array(weight, from_pandas=True),
        "colour": pa.array(np.array(["brown", "white"])[kind]),
    }
    return pa.table(columns)


def write_day(root: Path, number: int, table: pa.Table | None = None, name: str = "part.parquet") -> Path:
    path = root / "lake" / f"dt={day(number)}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(birds(number) if table is None else table, path, row_group_size=64, write_page_checksum=True)
    return path


def write_settings(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the settings file, with lines replaced."""
    text = SETTINGS
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    path = root / "birds.toml"
    path.write_text(text)
    return path


def write_world(root: Path, days: int = 3, changes: Mapping[str, str] | None = None) -> Settings:
    for number in range(days):
        write_day(root, number)
    return load_settings(write_settings(root, changes))


def replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, pa.array(values))


def files_below(root: Path) -> list[str]:
    """Everything there but the lake and the settings."""
    found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(path for path in found if not path.startswith("lake/") and path != "birds.toml")

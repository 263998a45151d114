"""Lakes with every kind of column that a first look has to judge."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FIRST_DAY = date(2024, 1, 1)
ROWS = 400
ODD_NAME = 'height "in\nfeet"'


def shop(number: int, n: int = ROWS) -> pa.Table:
    """One day of orders; the columns are named after what is to be found out about them."""
    rng = np.random.default_rng(number)
    amount = np.exp(rng.normal(3, 1, n))
    height = np.where(rng.random(n) < 0.5, 60.0, 75.0) + rng.normal(size=n)
    height[::50] = np.nan
    sparse = np.where(rng.random(n) < 0.6, np.nan, rng.normal(size=n))
    return pa.table(
        {
            "order_id": [f"{number}-{i}" for i in range(n)],
            "customer_id": pa.array(rng.integers(0, 90, n)),
            "amount": amount,
            "amount_in_cents_paid": amount * 100 + 5,
            "items": pa.array(rng.poisson(200, n).astype(np.int32)),
            ODD_NAME: pa.array(height, from_pandas=True),
            "mostly_missing": pa.array(sparse, from_pandas=True),
            "mostly_zero": np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)),
            "constant": np.full(n, 7.0),
            "empty": pa.nulls(n, pa.float64()),
            "is_new": rng.random(n) < 0.3,
            "country": pa.array(np.array(["AT", "BE", "CH"])[rng.integers(0, 3, n)]).dictionary_encode(),
            "serial": pa.array(np.arange(n) + number * n),
            "remark": [f"remark {i} of {number}" for i in range(n)],
            "at": [datetime(2024, 1, 1) + timedelta(seconds=int(i)) for i in range(n)],
            "tags": [["a", "b"]] * n,
        }
    )


def write_day(root: Path, number: int, table: pa.Table | None = None, folder: str = "dt={day}/region=north") -> Path:
    path = root / "lake" / folder.format(day=FIRST_DAY + timedelta(days=number)) / "part.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(shop(number) if table is None else table, path)
    return path


def write_shop(root: Path, days: int = 3, n: int = ROWS) -> Path:
    for number in range(days):
        write_day(root, number, shop(number, n))
    return root / "lake"

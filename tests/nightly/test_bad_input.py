"""Bad input ends in one clear error, and nothing is written: no table, no model, nothing staged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from gmmdask.errors import (
    ClusterError,
    EmptyDataError,
    GmmdaskError,
    InvalidInputError,
    NoSoundCandidateError,
    SchemaError,
    StorageError,
    UnknownNameError,
    UnreadablePartitionError,
    WarehouseError,
)
from gmmdask.nightly import plan_night, run_night
from gmmdask.registry import FORMAT_VERSION
from gmmdask.settings import load_settings
from tests.nightly.lakes import ROWS, birds, day, files_below, replaced, write_day, write_settings, write_world
from tests.nightly.test_night import copied, no_engine

Accident = Callable[[Path], object]


def drop_column_everywhere(root: Path) -> None:
    for number in range(3):
        write_day(root, number, birds(number).drop_columns(["speed"]))


def duplicate_an_id(root: Path) -> None:
    write_day(root, 1, pa.concat_tables([birds(1), birds(1).slice(3, 1)]))


def duplicate_an_id_in_another_file(root: Path) -> None:
    write_day(root, 1, birds(1).slice(3, 1), name="second.parquet")


def forget_an_id(root: Path) -> None:
    write_day(root, 1, replaced(birds(1), "ring", [None, *(f"x{i}" for i in range(ROWS - 1))]))


def empty_a_column(root: Path) -> None:
    for number in range(3):
        write_day(root, number, replaced(birds(number), "weight", np.full(ROWS, np.nan)))


def leave_no_row_complete(root: Path) -> None:
    for number in range(3):
        half = np.arange(ROWS) % 2 == 0
        table = replaced(birds(number), "weight", np.where(half, 20.0, np.nan))
        write_day(root, number, replaced(table, "speed", np.where(half, np.nan, 9.0)))


def stop_a_column(root: Path) -> None:
    for number in range(3):
        write_day(root, number, replaced(birds(number), "speed", np.full(ROWS, 7.0)))


def damage_a_file(root: Path) -> None:
    path = write_day(root, 1)
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)


def truncate_a_file(root: Path) -> None:
    path = write_day(root, 1)
    path.write_bytes(path.read_bytes()[:-100])


def change_a_type(root: Path) -> None:
    write_day(root, 1, replaced(birds(1), "speed", ["fast"] * ROWS))


def keep_three_rows(root: Path) -> None:
    shutil.rmtree(root / "lake")
    write_day(root, 0, birds(0).slice(1, 3))


def empty_the_lake(root: Path) -> None:
    shutil.rmtree(root / "lake")
    (root / "lake").mkdir()


def keep_empty_files(root: Path) -> None:
    for number in range(3):
        write_day(root, number, birds(number).slice(0, 0))


def lose_the_lake(root: Path) -> None:
    shutil.rmtree(root / "lake")


def lose_the_dates(root: Path) -> None:
    for number in range(3):
        (root / "lake" / f"dt={day(number)}").rename(root / "lake" / f"part-{number}")


def misspell_a_date(root: Path) -> None:
    (root / "lake" / f"dt={day(1)}").rename(root / "lake/dt=2024-02-30")


def write_bytes_that_are_no_text(root: Path) -> None:
    write_day(root, 1, replaced(birds(1), "colour", [b"\xff\xfe"] * ROWS))
    for number in (0, 2):
        write_day(root, number, replaced(birds(number), "colour", [b"white"] * ROWS))


def everywhere(column: str, value: Callable[[int, int], object], data_type: pa.DataType) -> Accident:
    """Return the accident that a column is of another type in all files."""

    def accident(root: Path) -> None:
        for number in range(3):
            values = pa.array([value(number, row) for row in range(ROWS)], data_type)
            write_day(root, number, replaced(birds(number), column, values))

    accident.__name__ = f"{column}_of_{data_type}"
    return accident


NO_TEXT = r"column '{}' is {} and cannot be read as text \(.*\); write it as text in UTF-8, or {}$"
NO_ID, NO_DESCRIPTION = "name another column as source.id", "take it out of describe"
LIST, STRUCT = pa.list_(pa.int64()), pa.struct({"a": pa.int64()})


def write_values_whose_squares_overflow(root: Path) -> None:
    speed = birds(1)["speed"].to_numpy().copy()
    speed[1:11] = np.repeat([-1.7e308, 1.7e308], 5)
    write_day(root, 1, replaced(birds(1), "speed", speed))


CASES: list[tuple[Accident, type[GmmdaskError], str]] = [
    (misspell_a_date, InvalidInputError, "1 of 3 files is in a folder .*, the first is 'dt=2024-02-30'; correct"),
    (
        write_bytes_that_are_no_text,
        InvalidInputError,
        r"'dt=2024-01-02/part\.parquet'.*column 'colour' is binary and cannot be read as text .*take it out of describe",
    ),
    (
        everywhere("ring", lambda *row: b"\xff" + bytes(13) + bytes(row), pa.binary(16)),
        InvalidInputError,
        NO_TEXT.format("ring", r"fixed_size_binary\[16\]", NO_ID),
    ),
    (
        everywhere("ring", lambda *row: b"\xff" + bytes(row), pa.binary()),
        InvalidInputError,
        NO_TEXT.format("ring", "binary", NO_ID),
    ),
    (
        everywhere("ring", lambda *row: list(row), LIST),
        InvalidInputError,
        NO_TEXT.format("ring", "list<.*>", NO_ID),
    ),
    (
        everywhere("ring", lambda _, row: {"a": row}, STRUCT),
        InvalidInputError,
        NO_TEXT.format("ring", "struct<.*>", NO_ID),
    ),
    (
        everywhere("colour", lambda *row: list(row), LIST),
        InvalidInputError,
        NO_TEXT.format("colour", "list<.*>", NO_DESCRIPTION),
    ),
    (
        everywhere("colour", lambda _, row: {"a": row}, STRUCT),
        InvalidInputError,
        NO_TEXT.format("colour", "struct<.*>", NO_DESCRIPTION),
    ),
    (
        write_values_whose_squares_overflow,
        InvalidInputError,
        r"column 'speed' has values from -1\.7e\+308 to 1\.7e\+308, and the squares of such values overflow",
    ),
    (drop_column_everywhere, UnknownNameError, "speed"),
    (duplicate_an_id, InvalidInputError, r"2024-01-02: '1-3' in 2 rows"),
    (duplicate_an_id_in_another_file, InvalidInputError, r"2024-01-02: '1-3' in 2 rows"),
    (
        forget_an_id,
        InvalidInputError,
        r"'dt=2024-01-02/part\.parquet'.*id column 'ring' has no value in 1 of the 64 rows of leaf 0",
    ),
    (empty_a_column, EmptyDataError, "column 'weight' has no value in any row"),
    (leave_no_row_complete, EmptyDataError, r"none of the 4\d\d rows has a finite value in every feature"),
    (stop_a_column, InvalidInputError, "columns without variation: {'speed': 7.0}"),
    (damage_a_file, UnreadablePartitionError, r"dt=2024-01-02/part\.parquet"),
    (truncate_a_file, UnreadablePartitionError, r"dt=2024-01-02/part\.parquet"),
    (change_a_type, SchemaError, r"speed.*dt=2024-01-02/part\.parquet|dt=2024-01-02/part\.parquet.*speed"),
    (keep_three_rows, InvalidInputError, "3 components are more than"),
    (empty_the_lake, EmptyDataError, "holds no Parquet file"),
    (keep_empty_files, EmptyDataError, r"none of the 3 partitions has a row\. Check what writes"),
    (lose_the_lake, StorageError, "lake"),
    (lose_the_dates, InvalidInputError, "partitioned by date"),
]


@pytest.mark.parametrize(("accident", "error", "told"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_bad_lake_is_refused_and_nothing_is_written(tmp_path, accident, error, told):
    settings = write_world(tmp_path)
    accident(tmp_path)
    with pytest.raises(error, match=told):
        run_night(settings)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({'"speed", "weight"': '"speed", "wieght"'}, UnknownNameError, "wieght.*weight"),
        ({'"colour"]': '"color"]'}, UnknownNameError, "color.*colour"),
        ({'id = "ring"': 'id = "rings"'}, UnknownNameError, "rings.*ring"),
        ({'"speed", "weight"': '"speed", "colour"', '["colour"]': "[]"}, SchemaError, "colour"),
        (
            {"[registry]": '[cluster]\naddress = "tcp://127.0.0.1:1"\ntimeout = 0.5\n\n[registry]'},
            ClusterError,
            "127.0.0.1:1",
        ),
        (
            {"n_components = [1, 2, 3]": "n_components = [1, 2, 3]\nreg_covar = 1000.0"},
            NoSoundCandidateError,
            "disqualified|None of",
        ),
    ],
)
def test_settings_that_do_not_fit_the_world_are_refused_and_nothing_is_written(tmp_path, changes, error, told):
    settings = write_world(tmp_path, changes=changes)
    with pytest.raises(error, match=told):
        run_night(settings)
    assert files_below(tmp_path) == []


def test_a_champion_whose_bundle_is_gone_is_named_and_nothing_changes(tmp_path):
    settings = write_world(tmp_path)
    run_night(settings)
    warehouse = (tmp_path / "house/warehouse.duckdb").read_bytes()
    (bundle,) = (tmp_path / "registry/birds").iterdir()
    shutil.rmtree(bundle)
    write_day(tmp_path, 3)
    with pytest.raises(StorageError, match=rf"the champion, model {bundle.name}, is not .* models rollback .* --refit"):
        run_night(settings)
    assert (tmp_path / "house/warehouse.duckdb").read_bytes() == warehouse


def test_a_bad_next_night_changes_nothing(tmp_path):
    settings = write_world(tmp_path)
    run_night(settings)
    before = {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)}
    write_day(tmp_path, 3, pa.concat_tables([birds(3), birds(3)]))
    with pytest.raises(InvalidInputError, match="2024-01-04"):
        run_night(load_settings(tmp_path / "birds.toml"))
    assert {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)} == before


def with_columns(columns: dict[str, object]) -> Accident:
    def change(root: Path) -> None:
        table = birds(3)
        for name, values in columns.items():
            table = table.drop_columns([name]) if values is None else replaced(table, name, values)
        write_day(root, 3, table)

    return change


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A world with a champion and a published night; tests copy it."""
    root = tmp_path_factory.mktemp("published")
    run_night(write_world(root, changes={"[1, 2, 3]": "[1, 2]"}))
    return root


OTHER_SCHEMAS = [
    ({"speed": None}, r"partition 'dt=2024-01-04/part\.parquet' has no column 'speed' \(it has ring, weight, colour\)"),
    ({"ring": None}, r"dt=2024-01-04/part\.parquet' has no column 'ring'"),
    ({"colour": None}, r"dt=2024-01-04/part\.parquet' has no column 'colour'"),
    ({"speed": ["9.5"] * ROWS}, r"column 'speed' is string in partition 'dt=2024-01-04/part\.parquet' and double"),
    ({"ring": np.arange(ROWS)}, r"column 'ring' is int64 in partition 'dt=2024-01-04/part\.parquet' and string"),
    ({"weight": [[1.0]] * ROWS}, r"column 'weight' is list.* in partition 'dt=2024-01-04/part\.parquet'"),
]


@pytest.mark.parametrize(("columns", "told"), OTHER_SCHEMAS)
def test_a_schema_that_changed_since_training_is_told_and_nothing_changes(published, tmp_path, columns, told):
    settings = copied(published, tmp_path)
    with_columns(columns)(tmp_path)
    before = {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)}
    with pytest.raises(SchemaError, match=told):
        run_night(settings)
    assert {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)} == before


def test_a_renamed_column_is_told_with_the_names_that_are_there(published, tmp_path):
    settings = copied(published, tmp_path)
    write_day(tmp_path, 3, birds(3).rename_columns(["ring", "velocity", "weight", "colour"]))
    with pytest.raises(SchemaError, match=r"has no column 'speed' \(it has ring, velocity, weight, colour\)"):
        run_night(settings)


def test_a_number_may_change_its_width(published, tmp_path):
    settings = copied(published, tmp_path)
    with_columns({"speed": np.arange(ROWS, dtype=np.int16)})(tmp_path)
    assert run_night(settings).release is not None


def test_a_champion_of_a_newer_version_is_told_and_nothing_changes(published, tmp_path):
    settings = copied(published, tmp_path)
    write_day(tmp_path, 3)
    (document,) = (tmp_path / "registry/birds").glob("*/bundle.json")
    text = document.read_text()
    document.write_text(text.replace(f'"format": {FORMAT_VERSION}', f'"format": {FORMAT_VERSION + 1}'))
    before = {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)}
    with pytest.raises(InvalidInputError, match=rf"has format {FORMAT_VERSION + 1} and this gmmdask reads .*Install"):
        run_night(settings)
    assert {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)} == before


def foreign_database(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE customers (name VARCHAR)")


def database_with_our_names(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE runs (distance DOUBLE)")


def no_database(path: Path) -> None:
    path.write_text("name,distance\n" * 500)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (foreign_database, "is not a warehouse but a DuckDB file of something else, with customers"),
        (database_with_our_names, "table runs of warehouse .* differ in .*Name another file"),
        (no_database, "is not a valid DuckDB database file"),
        (Path.mkdir, "cannot open the warehouse"),
    ],
)
@pytest.mark.parametrize("plan", [plan_night, lambda settings: run_night(settings, engines=no_engine)])
def test_what_is_no_warehouse_is_found_before_anything_is_computed(tmp_path, write, told, plan):
    settings = write_world(tmp_path, days=1)
    path = Path(settings.warehouse.uri)
    path.parent.mkdir()
    write(path)
    before = path.is_file() and path.read_bytes()
    with pytest.raises(WarehouseError, match=told) as caught:
        plan(settings)
    assert str(path) in str(caught.value)
    assert (path.is_file() and path.read_bytes()) == before
    assert [name for name in files_below(tmp_path) if not name.endswith(".duckdb")] == []


def test_rows_with_infinite_values_are_published_as_invalid(tmp_path):
    settings = write_world(tmp_path)
    speed = birds(1)["speed"].to_numpy().copy()
    speed[:5] = np.inf
    write_day(tmp_path, 1, replaced(birds(1), "speed", speed))
    night = run_night(settings)
    assert night.release is not None
    (run,) = night.release.tables["runs"].to_pylist()
    assert (run["rows_invalid"], run["rows_total"]) == (5, 3 * ROWS)


def test_the_settings_of_these_tests_are_sound(tmp_path):
    assert load_settings(write_settings(tmp_path)).segmentation.name == "birds"

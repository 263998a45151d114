"""What a first look finds in a lake, and what it makes of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError, SettingsError, StorageError
from gmmdask.inspection import inspect_lake, read_sample, settings_text, write_settings
from gmmdask.preparation.column_facts import dependent_columns
from gmmdask.settings import Settings
from tests.inspection.lakes import ODD_NAME, ROWS, shop, write_day, write_shop


@pytest.fixture
def found(tmp_path):
    return inspect_lake(str(write_shop(tmp_path)))


def notes(inspection) -> dict[str, str]:
    return {choice.name: choice.note for choice in inspection.choices}


def test_every_column_gets_the_role_it_can_play(found):
    assert found.id.name == "order_id"
    assert found.named("feature") == ("amount", "items", ODD_NAME)
    assert found.named("describe") == ("is_new", "country")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("customer_id", "name is that of a key"),
        ("amount_in_cents_paid", "repeats amount, up to its unit"),
        ("mostly_missing", "% missing: clustering it leaves those rows without a segment"),
        ("mostly_zero", "of its values are 0, and a component would collapse"),
        ("constant", "always '7'"),
        ("empty", "no value"),
        ("serial", "nearly one a row, like an id"),
        ("remark", "nearly one a row, like an id"),
        ("at", "write it as a number"),
        ("tags", "neither a number nor text"),
        ("dt", "the date of the night"),
        ("region", "always 'north'"),
    ],
)
def test_what_is_left_out_is_left_out_for_a_reason(found, name, reason):
    assert name in found.named("left out")
    assert reason in notes(found)[name]


def test_the_settings_say_what_was_found_and_can_be_read(found, tmp_path):
    text = settings_text(found, tmp_path / "settings.toml")
    settings = Settings(**tomllib.loads(text))
    assert settings.features == found.named("feature")
    assert settings.describe == found.named("describe")
    assert settings.source.uri == "lake"  # relative to the file, so that both can be moved
    assert "All of these rows get a segment" in text
    assert '# "mostly_missing",  # double, 6' in text


def preparation(root: Path, columns: dict[str, np.ndarray]) -> tuple[dict[str, dict[str, str]], str]:
    """Return what the settings of a lake of these columns ask for single ones, and their text."""
    n = len(next(iter(columns.values())))
    cells = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    write_day(root, 0, pa.table({"order_id": [str(i) for i in range(n)], **cells}))
    text = settings_text(inspect_lake(str(root / "lake")), root / "settings.toml")
    asked = Settings(**tomllib.loads(text)).preparation.columns
    return {name: one.model_dump(exclude_none=True) for name, one in asked.items()}, text


def gapped(seed: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(4000) < share, np.nan, rng.normal(size=4000))


def test_a_few_gaps_are_filled_in_and_many_are_not(tmp_path):
    asked, text = preparation(tmp_path, {"few": gapped(0, 0.03), "many": gapped(1, 0.12), "none": gapped(2, 0)})
    assert asked == {"few": {"missing": "median"}}
    complete = float(re.search(r"Clustered\. (.*)% of these rows get a segment; the others lack", text)[1])
    assert complete == pytest.approx(88, abs=2)


def test_rows_that_lack_several_values_are_not_made_up(tmp_path):
    """As cancelled flights have neither a delay nor a time in the air."""
    cancelled = np.random.default_rng(0).random(4000) < 0.03
    columns = {
        name: np.where(cancelled, np.nan, gapped(seed, 0.001)) for seed, name in enumerate(["delay", "duration"])
    }
    asked, text = preparation(tmp_path, {**columns, "alone": gapped(9, 0.02)})
    assert asked == {"alone": {"missing": "median"}}
    assert "of these rows get a segment; the others lack a value" in text


def test_a_heavy_tail_is_drawn_in(tmp_path):
    heavy = np.sinh(gapped(0, 0.01) * 4)
    asked, text = preparation(tmp_path, {"heavy": heavy, "light": gapped(1, 0)})
    assert asked == {"heavy": {"transform": "arcsinh", "missing": "median"}}
    assert "interquartile ranges from the median: drawn in" in text


def test_how_categories_would_be_clustered_is_shown_with_a_warning(found, tmp_path):
    text = settings_text(found, tmp_path / "settings.toml")
    assert '# one_hot = ["country"]' in text
    assert "full and tied covariances are always disqualified" in text


def test_a_file_elsewhere_names_the_whole_path_of_the_lake(found, tmp_path):
    text = settings_text(found, tmp_path / "elsewhere" / "settings.toml")
    assert tomllib.loads(text)["source"]["uri"] == str(tmp_path / "lake")


def test_ids_that_come_back_on_other_dates_make_a_lake_of_snapshots(tmp_path):
    for number in range(3):
        write_day(tmp_path, number, shop(number).set_column(0, "order_id", pa.array([f"{i}" for i in range(ROWS)])))
    found = inspect_lake(str(tmp_path / "lake"))
    text = settings_text(found, tmp_path / "settings.toml")
    assert (found.id.name, tomllib.loads(text)["segmentation"]["entity"]) == ("order_id", "snapshot")


def test_a_column_that_changes_its_type_is_left_out(tmp_path):
    write_shop(tmp_path)
    write_day(tmp_path, 3, shop(3).set_column(4, "items", pa.array(["many"] * ROWS)))
    found = inspect_lake(str(tmp_path / "lake"))
    assert "another type in dt=2024-01-04" in notes(found)["items"]
    assert found.named("feature") == ("amount", ODD_NAME)


def test_the_emptiest_features_are_left_out_until_half_of_the_rows_are_complete(tmp_path):
    holes = np.random.default_rng(0).normal(size=(6, ROWS))
    holes.flat[:: 6 + 1] = np.nan  # a seventh of each, in other rows
    columns = {f"hole_{number}": pa.array(row, from_pandas=True) for number, row in enumerate(holes)}
    write_day(tmp_path, 0, pa.table({"order_id": [str(i) for i in range(ROWS)], **columns}))
    found = inspect_lake(str(tmp_path / "lake"))
    assert 0.5 <= found.complete < 0.7
    assert any("too few rows would have a value in every feature" in note for note in notes(found).values())


def test_a_look_is_bounded_and_reaches_from_the_first_date_to_the_last(tmp_path):
    sample = read_sample(str(write_shop(tmp_path, days=7)), max_files=3, max_rows=30)
    assert sample.n_rows == 30
    assert [file.date for file in sample.files] == ["2024-01-01", "2024-01-04", "2024-01-07"]
    assert np.bincount(sample.dates).tolist() == [10, 0, 0, 10, 0, 0, 10]


@given(st.integers(2, 5), st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-1e6, 1e6))
def test_a_column_that_follows_from_others_is_found_whatever_its_unit(n_columns, seed, scale, shift):
    """Independent oracle: columns drawn independently, and one made from the first two."""
    rng = np.random.default_rng(seed)
    drawn = {f"x{i}": rng.normal(size=200) for i in range(n_columns)}
    made = {**drawn, "sum": (drawn["x0"] - 2 * drawn["x1"]) * scale + shift}
    assert dependent_columns(made, list(made), 2e-5) == {"sum": ("x0", "x1")}
    noisy = {**drawn, "sum": made["sum"] + rng.normal(size=200) * scale / 10}
    assert dependent_columns(noisy, list(noisy), 2e-5) == {}


def test_an_existing_file_is_left_as_it_is_unless_told_otherwise(found, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("mine")
    with pytest.raises(SettingsError, match="exists; name another file, or replace it with --force"):
        write_settings(found, path)
    assert path.read_text() == "mine"
    write_settings(found, path, force=True)
    assert path.read_text() == settings_text(found, path)


def test_a_folder_that_is_not_there_is_named(found, tmp_path):
    with pytest.raises(SettingsError, match="cannot be written"):
        write_settings(found, tmp_path / "nowhere" / "settings.toml")
    with pytest.raises(StorageError, match="there is no folder or bucket"):
        inspect_lake(str(tmp_path / "nowhere"))


def test_files_without_dates_are_refused_with_what_is_needed(tmp_path):
    write_day(tmp_path, 0, folder="north")
    with pytest.raises(InvalidInputError, match=r"1 of 1 files have no date.*dt=2013-01-31/"):
        inspect_lake(str(tmp_path / "lake"))


def test_a_lake_without_ids_is_refused_with_the_columns_that_come_nearest(tmp_path):
    table = shop(0).drop_columns(["order_id", "serial", "remark", "at"])
    write_day(tmp_path, 0, table)
    with pytest.raises(InvalidInputError, match=r"'customer_id' has \d\d different values in 400 rows"):
        inspect_lake(str(tmp_path / "lake"))


def test_an_id_that_was_named_must_identify(tmp_path):
    lake = str(write_shop(tmp_path))
    assert inspect_lake(lake, id_column="serial").id.name == "serial"
    with pytest.raises(InvalidInputError, match="no column of text or whole numbers identifies"):
        inspect_lake(lake, id_column="country")
    with pytest.raises(InvalidInputError, match="did you mean 'serial'"):
        inspect_lake(lake, id_column="serials")


def test_a_lake_with_nothing_to_cluster_is_refused_with_the_reasons(tmp_path):
    write_day(tmp_path, 0, shop(0).select(["order_id", "constant", "country"]))
    with pytest.raises(InvalidInputError, match=r"can be clustered .*constant: always '7'"):
        inspect_lake(str(tmp_path / "lake"))


def test_an_address_with_credentials_is_refused_without_showing_them():
    with pytest.raises(InvalidInputError, match="holds credentials") as refused:
        inspect_lake("s3://name:wordy@bucket/lake")
    assert "wordy" not in str(refused.value)


def test_looking_writes_nothing(found, tmp_path):
    assert {path.suffix for path in Path(tmp_path).rglob("*") if path.is_file()} == {".parquet"}


@pytest.mark.parametrize("value", ["2026-02-30", "__HIVE_DEFAULT_PARTITION__"])
def test_a_folder_whose_date_is_none_is_named(tmp_path, value):
    write_shop(tmp_path)
    write_day(tmp_path, 0, folder=f"dt={value}/region=north")
    with pytest.raises(InvalidInputError, match=f"1 of 4 files is in a folder .* 'dt={value}/region=north'; correct"):
        inspect_lake(str(tmp_path / "lake"))


def test_a_column_without_a_name_is_left_out_and_the_settings_can_be_read(tmp_path):
    write_day(tmp_path, 0, shop(0).append_column("", pa.array(np.random.default_rng(0).normal(size=ROWS))))
    found = inspect_lake(str(tmp_path / "lake"))
    assert "without a name" in notes(found)[""]
    Settings.model_validate(tomllib.loads(settings_text(found, tmp_path)))


def test_numbers_whose_squares_overflow_are_left_out(tmp_path):
    table = shop(0)
    huge = table["amount"].to_numpy() * 1e300
    write_day(tmp_path, 0, table.append_column("huge", pa.array(huge)))
    assert notes(inspect_lake(str(tmp_path / "lake")))["huge"] == "double: the squares of its values overflow"

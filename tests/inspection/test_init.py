"""The way of a newcomer: a folder of Parquet, `gmmdask init`, `gmmdask nightly`."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from gmmdask.cli import app
from gmmdask.nightly import load_night_model
from gmmdask.settings import load_settings
from tests.inspection.lakes import write_day, write_shop


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_folder_of_ones_own_becomes_a_published_night(tmp_path):
    lake, settings, warehouse = write_shop(tmp_path, n=100), tmp_path / "settings.toml", tmp_path / "warehouse.duckdb"
    looked = run("init", lake, "-o", settings)
    assert looked.exit_code == 0, looked.stderr
    assert f"gmmdask nightly {settings}" in looked.stdout
    done = run("nightly", settings)
    assert done.exit_code == 0, done.stderr
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counted = connection.execute("SELECT count(*), count(segment_id) FROM current_assignments").fetchall()
    assert counted == [(300, 300)]


def test_gaps_and_tails_are_prepared_as_the_file_says_and_nothing_is_left_to_warn_of(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 600)
    gap = np.where(rng.random(600) < 0.02, np.nan, kind * 5 + rng.normal(size=600))
    columns = {"order_id": [str(i) for i in range(600)], "gap": pa.array(gap, from_pandas=True)}
    paid = np.exp(rng.normal(size=600) * 3) * 100
    write_day(tmp_path, 0, pa.table({**columns, "paid": paid, "shop": pa.array(kind).cast(pa.string())}))
    file, warehouse = tmp_path / "settings.toml", str(tmp_path / "warehouse.duckdb")
    assert run("init", tmp_path / "lake", "-o", file).exit_code == 0
    done = run("nightly", file)
    assert done.exit_code == 0, done.stderr
    assert one_row(warehouse, "SELECT rows_missing, warnings FROM runs") == (0, "[]")
    recipe = load_night_model(load_settings(file), one_row(warehouse, "SELECT model_id FROM runs")[0]).segments.recipe
    assert {column.name: (column.fill_rule, column.transform) for column in recipe.columns} == {
        "gap": ("median", "none"),
        "paid": ("drop", "arcsinh"),
    }


def test_the_way_to_clustered_categories_that_the_file_shows_can_be_gone(tmp_path):
    lake, file = write_shop(tmp_path, n=100), tmp_path / "settings.toml"
    assert run("init", lake, "-o", file).exit_code == 0
    text = file.read_text().replace('# one_hot = ["country"]', 'one_hot = ["country"]')
    text = text.replace('  "country",', "").replace("features = [", 'features = ["country", ')
    file.write_text(text.replace('["spherical", "diag", "tied", "full"]', '["spherical"]'))
    done = run("nightly", file)
    assert done.exit_code == 0, done.stderr
    assert "before fitting" not in done.stderr
    file.write_text(file.read_text().replace('["spherical"]', '["spherical", "tied"]'))
    warned = run("nightly", file, "--refit")
    assert "before fitting: Categories as indicators: country (with tied covariances in the grid)." in warned.stderr
    query = "SELECT list(DISTINCT status) FROM grid WHERE covariance_type = 'tied'"
    assert one_row(str(tmp_path / "warehouse.duckdb"), query) == (["disqualified"],)


def one_row(warehouse: str, query: str) -> tuple:
    with duckdb.connect(warehouse, read_only=True) as connection:
        (row,) = connection.execute(query).fetchall()
    return row


@pytest.mark.parametrize(
    ("file", "name"), [("customers.toml", "customers"), ("my shop.v2.toml", "my-shop.v2"), ("settings.toml", "lake")]
)
def test_the_segmentation_is_called_as_its_file_or_as_the_lake_where_the_file_has_the_usual_name(tmp_path, file, name):
    lake = write_shop(tmp_path, n=100)
    assert run("init", lake, "-o", tmp_path / file).exit_code == 0
    assert load_settings(tmp_path / file).segmentation.name == name


def test_the_cores_of_the_machine_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr("gmmdask.inspection.template.cores", lambda: 7)
    assert run("init", write_shop(tmp_path, n=100), "-o", tmp_path / "settings.toml").exit_code == 0
    assert load_settings(tmp_path / "settings.toml").cluster.threads == 7


def test_an_existing_file_stops_the_look_and_stays(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text("mine")
    refused = run("init", tmp_path / "nowhere", "-o", settings)
    assert (refused.exit_code, settings.read_text()) == (1, "mine")
    assert "exists; name another file with -o, or replace it with --force" in refused.stderr


@pytest.mark.parametrize(
    ("written", "told"), [(None, "no folder or bucket"), ("notes.txt", "holds no Parquet file"), ("flat", "no date")]
)
def test_an_error_is_one_sentence_and_nothing_is_written(tmp_path, written, told):
    if written == "flat":
        write_day(tmp_path, 0, folder=".")
    elif written is not None:
        (tmp_path / "lake").mkdir()
        (tmp_path / "lake" / written).write_text("nothing to see")
    refused = run("init", tmp_path / "lake", "-o", tmp_path / "settings.toml")
    assert (refused.exit_code, (tmp_path / "settings.toml").exists()) == (1, False)
    assert refused.stderr.startswith("gmmdask: ")
    assert told in refused.stderr

"""Nights over prepared columns: categories, filled gaps and heavy tails, from the settings to the tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import multivariate_normal

from gmmdask.nightly import load_night_model, run_night
from gmmdask.preparation import CategoryColumn, NumericColumn
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import day, write_day
from tests.nightly.shops import CARRIERS, ROWS, orders, write_settings, write_world
from tests.nightly.test_night import contents, rows

DAYS = 2
NO_CARRIER = ROWS // 25


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """A published night; tests only look at it."""
    root = tmp_path_factory.mktemp("orders")
    settings = write_world(root)
    run_night(settings)
    return root, settings


def champion(settings: Settings) -> Any:
    return load_night_model(settings, rows(settings, "champion")[0]["champion_id"]).segments


def test_the_recipe_is_what_the_settings_ask_for(first_night: tuple[Path, Settings]) -> None:
    recipe = champion(first_night[1]).recipe
    amount, age, carrier, gift = recipe.columns
    assert isinstance(amount, NumericColumn)
    assert isinstance(age, NumericColumn)
    assert (amount.transform, amount.fill_rule, age.fill_rule) == ("arcsinh", "drop", "median")
    assert carrier == CategoryColumn(name="carrier", categories=CARRIERS)
    assert gift == CategoryColumn(name="gift", categories=("false", "true"))
    assert recipe.prepared_features == (
        "amount",
        "age",
        *(f"carrier={name}" for name in CARRIERS),
        "gift=false",
        "gift=true",
    )


def test_rows_get_segments_unless_a_category_is_missing(first_night: tuple[Path, Settings]) -> None:
    _, settings = first_night
    (run,) = rows(settings, "runs")
    assert run["rows_total"] == DAYS * ROWS
    assert (run["rows_missing"], run["rows_unseen"], run["rows_invalid"]) == (DAYS * NO_CARRIER, 0, 0)
    without_segment = {row["id"] for row in rows(settings, "current_assignments") if row["segment_id"] is None}
    assert without_segment == {f"{number}-{i}" for number in range(DAYS) for i in range(5, ROWS, 25)}


def test_segments_are_the_two_kinds_of_order(first_night: tuple[Path, Settings]) -> None:
    _, settings = first_night
    shares = {
        (row["segment_id"], row["category"]): row["value"]
        for row in rows(settings, "segment_profiles")
        if row["feature"] == "colour" and row["statistic"] == "share" and row["segment_id"] is not None
    }
    assert sorted(category for _, category in shares) == ["brown", "white"]
    assert set(shares.values()) == {1.0}


def test_log_densities_are_per_unit_of_the_raw_columns(first_night: tuple[Path, Settings]) -> None:
    """To 1e-9, against SciPy on rows prepared by hand; the Jacobian of the arcsinh by its derivative."""
    root, settings = first_night
    model = champion(settings)
    amount, age, *_ = model.recipe.columns
    labelled = {row["id"]: row["log_density"] for row in rows(settings, "current_assignments") if row["status"] == "ok"}
    for row in pq.read_table(root / "lake" / f"dt={day(1)}" / "part.parquet", partitioning=None).to_pylist():
        if row["id"] not in labelled:
            continue
        z = (row["amount"] - amount.middle) / amount.spread
        years = age.fill if row["age"] is None else row["age"]
        x = [(np.arcsinh(z) - amount.centre) / amount.scale, (years - age.centre) / age.scale]
        x += [float(row["carrier"] == name) for name in CARRIERS] + [float(not row["gift"]), float(row["gift"])]
        parameters = zip(model.parameters.weights, model.parameters.means, model.parameters.matrices, strict=True)
        density = sum(w * multivariate_normal.pdf(x, mean, matrix) for w, mean, matrix in parameters)
        jacobian = 1 / np.sqrt(1 + z**2) / amount.spread / amount.scale / age.scale
        assert labelled[row["id"]] == pytest.approx(np.log(density * jacobian), abs=1e-9)


def test_profiles_tell_of_present_values_and_of_gaps_and_count_categories(first_night: tuple[Path, Settings]) -> None:
    """To rounding, against pandas on the files."""
    _, settings = first_night
    frame = pa_concat().dropna(subset=["carrier"])
    found = {
        (row["feature"], row["category"], row["statistic"]): (row["value"], row["unit"])
        for row in rows(settings, "segment_profiles")
        if row["segment_id"] is None
    }
    assert found["amount", None, "mean"][0] == pytest.approx(frame["amount"].mean())
    assert found["age", None, "mean"][0] == pytest.approx(frame["age"].mean())
    assert found["age", None, "sd"][0] == pytest.approx(frame["age"].std(ddof=0))
    assert found["age", None, "min"][0] == frame["age"].min()
    assert found["age", None, "missing"] == (pytest.approx(frame["age"].isna().mean()), "share")
    assert ("amount", None, "missing") not in found
    for name in CARRIERS:
        assert found["carrier", name, "count"][0] == (frame["carrier"] == name).sum()
    assert found["gift", "true", "share"][0] == pytest.approx(frame["gift"].mean())
    assert ("carrier", None, "mean") not in found
    shares = [
        row for row in rows(settings, "segment_profiles") if row["segment_id"] == 1 and row["feature"] == "carrier"
    ]
    assert sum(row["value"] for row in shares if row["statistic"] == "share") == pytest.approx(1)


def pa_concat() -> Any:
    import pandas as pd

    return pd.concat([orders(number).to_pandas() for number in range(DAYS)])


def test_a_night_on_a_cluster_gives_the_same(first_night: tuple[Path, Settings], tmp_path: Path) -> None:
    """Rows of every table and view, model ids included: the same bits."""
    root, settings = first_night
    shutil.copytree(root / "lake", tmp_path / "lake")
    write_settings(tmp_path, {"[registry]": "[cluster]\nworkers = 2\n\n[registry]"})
    there = load_settings(tmp_path / "birds.toml")
    run_night(there)
    assert contents(there) == contents(settings)


def test_a_repeated_night_publishes_the_same_labels(first_night: tuple[Path, Settings], tmp_path: Path) -> None:
    """Bits of every label of the date."""
    root, _ = first_night
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    settings = load_settings(tmp_path / "birds.toml")
    before = contents(settings)["current_assignments"]
    write_day(tmp_path, 2, orders(2))
    run_night(settings)
    (tmp_path / "lake" / f"dt={day(1)}" / "part.parquet").touch()
    run_night(settings, day(1))
    after = [row for row in contents(settings)["current_assignments"] if row["dt"] < day(2)]
    drop = {"run_id"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in after] == [
        {k: v for k, v in row.items() if k not in drop} for row in before
    ]

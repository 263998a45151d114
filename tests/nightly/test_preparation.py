"""Nights over prepared columns: categories, filled gaps and heavy tails, from the settings to the tables."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy.stats import multivariate_normal

from gmmdask.errors import InvalidInputError, NoSoundCandidateError, SchemaError
from gmmdask.lake import held_out
from gmmdask.nightly import load_night_model, plan_night, run_night
from gmmdask.nightly.reporting import report_night
from gmmdask.nightly.summary import print_night
from gmmdask.preparation import CategoryColumn, NumericColumn
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import day, files_below, write_day
from tests.nightly.shops import CARRIERS, ROWS, changed, orders, without, write_settings, write_world
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
    """But for orders of the one kind without an age, which is filled with one that is usual for the other."""
    _, settings = first_night
    shares = {
        (row["segment_id"], row["category"]): row["value"]
        for row in rows(settings, "segment_profiles")
        if row["feature"] == "colour" and row["statistic"] == "share" and row["segment_id"] is not None
    }
    assert sorted(category for (_, category), share in shares.items() if share > 0.8) == ["brown", "white"]


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
    from distributed import LocalCluster

    shutil.copytree(root / "lake", tmp_path / "lake")
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        address = f'[cluster]\naddress = "{cluster.scheduler_address}"\n\n[registry]'
        there = load_settings(write_settings(tmp_path, {"[registry]": address}))
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


@pytest.fixture
def world(first_night: tuple[Path, Settings], tmp_path: Path) -> tuple[Path, Settings]:
    """The published night, to go on from."""
    shutil.copytree(first_night[0], tmp_path, dirs_exist_ok=True)
    return tmp_path, load_settings(tmp_path / "birds.toml")


def statuses(settings: Settings, number: int) -> dict[str, str]:
    return {row["id"]: row["status"] for row in rows(settings, "current_assignments") if row["dt"] == day(number)}


def test_a_new_night_tells_unseen_missing_and_invalid_rows_apart(world: tuple[Path, Settings]) -> None:
    root, settings = world
    table = changed(orders(2), "carrier", slice(10, 14), "ZZ")
    table = changed(table, "amount", slice(20, 23), float("inf"))
    table = changed(table, "age", slice(40, 42), float("-inf"))
    table = changed(table, "amount", slice(60, 65), None)
    write_day(root, 2, table)
    night = run_night(settings)
    assert night.plan.action == "keep"
    assert night.release is not None
    found = statuses(settings, 2)
    expected = {f"2-{i}": "unseen" for i in range(10, 14)} | {
        f"2-{i}": "missing" for i in [*range(60, 65), *range(5, ROWS, 25)]
    }
    expected |= {f"2-{i}": "invalid" for i in (20, 21, 22, 40, 41)}
    assert {id_: status for id_, status in found.items() if status != "ok"} == expected
    (run,) = night.release.tables["runs"].to_pylist()
    assert (run["rows_unseen"], run["rows_invalid"]) == (4, 5)
    assert run["rows_ok"] + run["rows_missing"] + 9 == run["rows_total"] == ROWS
    assert run["settings_hash"] == settings.decisive_hash


def test_a_date_without_any_category_is_published_without_segments(world: tuple[Path, Settings]) -> None:
    root, settings = world
    write_day(root, 2, without(orders(2), "carrier"))
    run_night(settings)
    assert set(statuses(settings, 2).values()) == {"missing"}


def test_summary_and_report_tell_of_categories_and_of_rows_without_segment(world: tuple[Path, Settings]) -> None:
    root, settings = world
    write_day(root, 2, changed(orders(2), "carrier", slice(10, 14), "ZZ"))
    night = run_night(settings)
    printed = Console(width=200, file=io.StringIO())
    print_night(night, settings, printed)
    told = printed.file.getvalue()  # type: ignore[attr-defined]
    assert "4 unseen" in told
    assert "carrier" in told
    page = Path(report_night(settings, root / "report.html")).read_text()
    assert "4 unseen" in page
    assert 'id="figure-map"' in page
    assert "carrier" in page


FILLED = {
    "[preparation]\n": '[preparation]\nunseen = "ignore"\n',
    "[preparation.columns.age]": '[preparation.columns.carrier]\nmissing = "unknown"\n\n[preparation.columns.age]',
}


def test_with_everything_filled_and_unseen_ignored_only_infinite_rows_have_no_segment(tmp_path: Path) -> None:
    settings = write_world(tmp_path, changes=FILLED)
    run_night(settings)
    assert champion(settings).recipe.columns[2].categories == (*CARRIERS, "unknown")
    table = changed(orders(2), "carrier", slice(10, 14), "ZZ")
    write_day(tmp_path, 2, changed(table, "age", slice(40, 41), float("inf")))
    run_night(settings)
    assert {id_ for id_, status in statuses(settings, 2).items() if status != "ok"} == {"2-40"}
    assert set(statuses(settings, 0).values()) == {"ok"}


def test_integers_can_be_categories(tmp_path: Path) -> None:
    for number in range(2):
        table = orders(number)
        terminals = pa.array(np.random.default_rng(number).integers(0, 12, ROWS) // 4 + 8)
        write_day(tmp_path, number, table.set_column(table.column_names.index("carrier"), "carrier", terminals))
    settings = load_settings(write_settings(tmp_path))
    run_night(settings)
    assert champion(settings).recipe.columns[2].categories == ("10", "8", "9")


def test_held_out_rows_decide_nothing_of_the_recipe(world: tuple[Path, Settings]) -> None:
    """A category that only held-out rows have is no category, and these rows are unseen."""
    root, settings = world
    ids = pa.array([f"3-{i}" for i in range(ROWS)])
    held = np.flatnonzero(held_out(ids, settings.grid.seed))
    table = orders(3)
    for number in held:
        table = changed(table, "carrier", slice(number, number + 1), "ZZ")
    write_day(root, 3, table)
    run_night(settings, refit=True)
    assert champion(settings).recipe.columns[2].categories == CARRIERS
    assert {id_ for id_, status in statuses(settings, 3).items() if status == "unseen"} == {f"3-{i}" for i in held}


def test_too_many_categories_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    settings = write_world(
        tmp_path,
        changes={
            'one_hot = ["carrier", "gift"]': 'one_hot = ["carrier", "gift", "id2"]',
            '"gift"]\n': '"gift", "id2"]\n',
        },
    )
    for number in range(2):
        write_day(tmp_path, number, orders(number).append_column("id2", orders(number)["id"]))
    with pytest.raises(InvalidInputError, match=r"column 'id2' has 3\d\d categories or more.*put it under describe"):
        run_night(settings)
    assert files_below(tmp_path) == []


def test_categories_under_full_covariances_are_disqualified_with_the_reason(tmp_path: Path) -> None:
    settings = write_world(tmp_path, changes={'["diag"]': '["full"]'})
    with pytest.raises(NoSoundCandidateError, match=r"one-hot columns.*\n  full 1: .*\n  full 2: ") as caught:
        run_night(settings)
    assert files_below(tmp_path) == []
    assert "reg_covar" in str(caught.value)


def test_a_champion_of_other_categories_is_refused_with_what_to_do(world: tuple[Path, Settings]) -> None:
    root, _ = world
    write_day(root, 2, orders(2))
    settings = load_settings(write_settings(root, {'one_hot = ["carrier", "gift"]': 'one_hot = ["carrier"]'}))
    with pytest.raises(InvalidInputError, match=r"trained with carrier, gift as categories.*has carrier;.*--refit"):
        run_night(settings)


def test_a_file_whose_categories_are_numbers_is_refused_by_name(world: tuple[Path, Settings]) -> None:
    root, settings = world
    table = orders(2)
    write_day(root, 2, table.set_column(table.column_names.index("carrier"), "carrier", pa.array(np.arange(ROWS))))
    with pytest.raises(SchemaError, match=r"'carrier'.*dt=2024-01-03"):
        run_night(settings)


def test_preparation_is_part_of_the_run_key(world: tuple[Path, Settings]) -> None:
    root, settings = world
    others = [
        {'transform = "arcsinh"': 'scale = "none"'},
        {'missing = "median"': 'missing = "mean"'},
        {"[preparation]\n": '[preparation]\nunseen = "ignore"\n'},
    ]
    keys = {plan_night(load_settings(write_settings(root, changes))).run_key for changes in others}
    assert len(keys | {plan_night(settings).run_key}) == 4

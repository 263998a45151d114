"""A night from file to table: what is published, and what running it again does."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gmmdask.engine import LocalEngine
from gmmdask.errors import WarehouseError
from gmmdask.nightly import (
    load_night_model,
    open_engine,
    plan_night,
    publish_night,
    publish_waiting,
    run_night,
    score_night,
    train_model,
)
from gmmdask.nightly.plan import staging_of, warehouse_of
from gmmdask.settings import Settings, load_settings
from gmmdask.warehouse import Attempt
from gmmdask.warehouse.tables import TABLES
from gmmdask.warehouse.views import VIEWS
from tests.nightly.lakes import ROWS, birds, day, files_below, write_day, write_settings, write_world
from tests.scoring.worlds import expected_scores

UNWEIGHED = -(-ROWS // 20)
CLOCKS = ("published_at", "started_at", "finished_at", "step_seconds")
PLACES = ("report_uri",)


@contextmanager
def no_engine(_: object) -> Any:
    pytest.fail("an engine was opened where nothing is to be computed")
    yield


def is_held_out(id_: str) -> bool:
    """Return the documented choice of held-out rows, in Python's own integers."""
    whole, golden = 2**64, 0x9E3779B97F4A7C15
    key = int.from_bytes(blake2b(b"held out:0", digest_size=8).digest(), "little")
    key = (key + sum((byte + 1) * golden ** (place + 1) for place, byte in enumerate(id_.encode()))) % whole
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % whole
    key = (key ^ key >> 27) * 0x94D049BB133111EB % whole
    return (key ^ key >> 31) % 20 == 0


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    return warehouse_of(settings).query(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()


def contents(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Everything that readers can see, but for the clock and the folder."""
    with warehouse_of(settings).reading():
        return {
            table: [
                {name: value for name, value in row.items() if name not in (*CLOCKS, *PLACES)}
                for row in rows(settings, table)
            ]
            for table in (*TABLES, *VIEWS)
        }


@pytest.fixture(scope="module")
def staged_night(tmp_path_factory) -> Path:
    """A world with three dates whose first night is computed and not published; tests only copy it."""
    root = tmp_path_factory.mktemp("staged")
    settings = write_world(root)
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    return root


@pytest.fixture(scope="module")
def first_night(staged_night, tmp_path_factory) -> tuple[Path, Settings]:
    """The same, published; tests only look at it."""
    root = tmp_path_factory.mktemp("published")
    settings = copied(staged_night, root)
    run_night(settings, engines=no_engine)
    return root, settings


@pytest.fixture
def world(first_night, tmp_path) -> tuple[Path, Settings]:
    """The same, to be changed."""
    return tmp_path, copied(first_night[0], tmp_path)


def copied(root: Path, to: Path) -> Settings:
    """Copy a world with the times of its files, and with them their fingerprints."""
    shutil.copytree(root, to, dirs_exist_ok=True)
    return load_settings(to / "birds.toml")


def test_the_first_night_publishes_every_row_of_all_dates(first_night):
    _, settings = first_night
    published = rows(settings, "current_assignments")
    assert [(row["dt"], row["id"]) for row in published] == sorted(
        (day(number), f"{number}-{i}") for number in range(3) for i in range(ROWS)
    )
    assert [row["status"] for row in published].count("missing") == 3 * UNWEIGHED
    assert {row["segment_id"] is None for row in published if row["status"] == "missing"} == {True}


def test_labels_are_those_of_the_kept_model_in_original_units(first_night):
    """To rounding, against scipy on the files themselves."""
    root, settings = first_night
    (champion,) = rows(settings, "champion")
    model = load_night_model(settings, champion["champion_id"]).segments
    table = pq.read_table(root / "lake" / f"dt={day(1)}" / "part.parquet", partitioning=None)
    values = np.array([table[name].to_numpy() for name in settings.features], dtype=float)
    density, posterior = expected_scores(values[:, np.isfinite(values).all(axis=0)], model)
    labelled = {row["id"]: row for row in rows(settings, "current_assignments") if row["dt"] == day(1)}
    scored = [labelled[id_] for id_ in table["ring"].to_pylist() if labelled[id_]["status"] == "ok"]
    np.testing.assert_allclose([row["log_density"] for row in scored], density, rtol=1e-9)
    np.testing.assert_allclose([row["probabilities"] for row in scored], posterior, atol=1e-9)
    assert [row["component"] for row in scored] == posterior.argmax(axis=1).tolist()


def test_segments_and_profiles_add_up_to_the_assignments(first_night):
    _, settings = first_night
    told = rows(settings, "current_segments")
    counted = warehouse_of(settings).query(
        "SELECT segment_id, count(*) AS size, avg(log_density) AS density FROM current_assignments "
        "WHERE status = 'ok' GROUP BY segment_id ORDER BY segment_id"
    )
    assert [row["segment_id"] for row in told] == [1, 2]
    assert [row["size"] for row in told] == counted["size"].to_pylist()
    np.testing.assert_allclose([row["mean_log_density"] for row in told], counted["density"].to_numpy())
    assert sum(row["share"] for row in told) == pytest.approx(1)
    shares = {
        (row["segment_id"], row["category"]): row["value"]
        for row in rows(settings, "segment_profiles")
        if row["feature"] == "colour" and row["statistic"] == "count"
    }
    assert shares[None, "brown"] + shares[None, "white"] == 3 * (ROWS - UNWEIGHED)


def test_profiles_are_in_original_units(first_night):
    _, settings = first_night
    means = {
        (row["segment_id"], row["feature"]): row["value"]
        for row in rows(settings, "segment_profiles")
        if row["statistic"] == "mean"
    }
    assert sorted(round(means[segment, "weight"] / 10) for segment in (1, 2)) == [2, 9]
    everything = np.concatenate([birds(number).to_pandas().dropna()["speed"] for number in range(3)])
    assert means[None, "speed"] == pytest.approx(everything.mean())


def test_the_run_tells_what_it_did(first_night):
    _, settings = first_night
    (run,) = rows(settings, "runs")
    assert (run["dt"], run["kind"], run["action"], run["status"]) == (day(2), "night", "first", "done")
    assert (run["rows_total"], run["rows_missing"], run["rows_invalid"]) == (3 * ROWS, 3 * UNWEIGHED, 0)
    assert run["training_rows"] == 3 * ROWS - sum(
        np.isnan(weight) or is_held_out(id_)
        for number in range(3)
        for id_, weight in birds(number).select(["ring", "weight"]).to_pandas().itertuples(index=False)
    )
    assert json.loads(run["warnings"]) == []
    assert 2 <= run["passes"] <= 6
    assert json.loads(run["settings"])["features"] == ["speed", "weight"]
    assert run["run_key"].startswith(run["run_id"])
    grid = rows(settings, "grid")
    assert len(grid) == 3
    assert [row["bic"] for row in grid if row["is_best"]] == [
        min(row["bic"] for row in grid if row["status"] != "disqualified")
    ]
    lineage = rows(settings, "lineage")
    assert sorted((row["purpose"], row["dt"]) for row in lineage) == sorted(
        (purpose, day(number)) for purpose in ("train", "score") for number in range(3)
    )


def test_what_is_to_know_of_the_columns_is_told_before_fitting_and_kept_with_the_run(tmp_path):
    for number in range(2):
        table = birds(number)
        grams = pc.multiply(table["weight"], 1000)
        write_day(tmp_path, number, table.append_column("grams", grams).append_column("wings", [[2] * ROWS]))
    features = 'features = ["speed", "weight", "grams", "wings"]'
    changes = {'features = ["speed", "weight"]': features, "[grid]": "[preparation]\ndrop_constant = true\n\n[grid]"}
    settings = load_settings(write_settings(tmp_path, changes))
    told: list[tuple[str, str]] = []
    run_night(settings, day(0), progress=lambda stage, done, total, detail: told.append((stage, detail)))
    run_night(settings, day(1))
    stages = [stage for stage, _ in told]
    remarks = [detail for stage, detail in told if stage == "before fitting"]
    first, kept = (
        json.loads(run["warnings"] or "null") for run in sorted(rows(settings, "runs"), key=lambda run: run["dt"])
    )
    assert kept is None
    assert first == remarks
    assert [line.split(". ")[0] for line in first] == [
        "Without variation: wings (always 2)",
        "Told twice: grams (repeats weight, up to its unit)",
    ]
    assert stages.index("pass 0") < stages.index("before fitting") < stages.index("sample: short starts")


def test_about_the_chosen_share_of_training_rows_is_flagged(tmp_path):
    settings = write_world(tmp_path, changes={"[warehouse]": "[anomalies]\nquantile = 0.1\n\n[warehouse]"})
    run_night(settings)
    (run,) = rows(settings, "runs")
    assert run["rows_anomalous"] / run["rows_ok"] == pytest.approx(0.1, abs=0.01)


def test_nothing_but_warehouse_and_registry_is_left_behind(first_night):
    root, settings = first_night
    model_id = rows(settings, "runs")[0]["model_id"]
    assert files_below(root) == [
        "house/warehouse.duckdb",
        f"registry/birds/{model_id}/arrays.npz",
        f"registry/birds/{model_id}/bundle.json",
    ]


def test_a_published_night_is_left_alone(world):
    """Bytes of the warehouse."""
    root, settings = world
    before = (root / "house/warehouse.duckdb").read_bytes()
    night = run_night(settings, engines=no_engine)
    assert night.plan.state == "published"
    assert night.release is None
    assert (root / "house/warehouse.duckdb").read_bytes() == before


def test_a_date_that_is_not_in_the_lake_is_nothing_to_do(world):
    _, settings = world
    assert run_night(settings, date(2024, 6, 1), engines=no_engine).plan.state == "nothing new"


def test_what_cannot_change_a_result_does_not_change_the_run_key(world):
    root, settings = world
    write_settings(
        root,
        {
            "publish_timeout = 0": "publish_timeout = 5\nmemory = '500MB'",
            "[registry]": "[cluster]\nthreads = 2\n\n[registry]",
        },
    )
    assert plan_night(load_settings(root / "birds.toml")).run_key == plan_night(settings).run_key


def test_settings_files_and_champion_change_the_run_key(world):
    root, settings = world
    key = plan_night(settings).run_key
    write_settings(root, {"n_components = [1, 2, 3]": "n_components = [1, 2]"})
    other = plan_night(load_settings(root / "birds.toml")).run_key
    write_day(root, 2, birds(77))
    assert len({key, other, plan_night(settings).run_key}) == 3


def test_the_next_night_keeps_the_champion_and_publishes_its_date_alone(world):
    _, settings = world
    root = Path(settings.source.uri).parent
    before = contents(settings)
    write_day(root, 3)
    night = run_night(settings)
    assert (night.plan.action, night.plan.kind, night.plan.state) == ("keep", "night", "due")
    after = contents(settings)
    assert after["champion"][0]["champion_id"] == before["champion"][0]["champion_id"]
    assert [row for row in after["assignments"] if row["dt"] < day(3)] == before["assignments"]
    assert len(after["assignments"]) == len(before["assignments"]) + ROWS
    assert len(after["grid"]) == len(before["grid"])
    assert run_night(settings, engines=no_engine).plan.state == "published"


def test_repeating_an_earlier_date_changes_no_champion(world):
    root, settings = world
    write_day(root, 3)
    run_night(settings)
    champion = rows(settings, "champion")
    write_day(root, 0, birds(77))
    night = run_night(settings, day(0))
    assert (night.plan.action, night.plan.kind, night.plan.state) == ("keep", "repeat", "due")
    assert rows(settings, "champion") == champion
    assert {row["run_id"] for row in rows(settings, "current_assignments") if row["dt"] == day(0)} == {
        night.plan.run_id
    }


@pytest.mark.parametrize("number", [0, 2])
def test_a_date_that_the_first_run_published_is_left_alone_until_files_or_settings_change(world, number):
    root, settings = world
    first = rows(settings, "runs")[0]["run_id"]
    write_day(root, 3)
    run_night(settings)
    night = run_night(settings, day(number), engines=no_engine)
    assert (night.plan.state, night.plan.run_id, night.release) == ("published", first, None)
    assert plan_night(settings, day(number), refit=False).overdue == ()
    write_settings(root, {"n_components = [1, 2, 3]": "n_components = [1, 2]"})
    assert plan_night(load_settings(root / "birds.toml"), day(number)).state == "due"
    write_day(root, number, birds(77))
    assert plan_night(settings, day(number)).state == "due"


def test_a_night_that_never_sees_later_dates_is_the_same_with_them(world, tmp_path):
    root, settings = world
    model_id = rows(settings, "runs")[0]["model_id"]
    write_day(root, 3)
    shutil.rmtree(root / "house")
    assert run_night(settings, day(2)).plan.champion_id is None
    assert rows(settings, "runs")[0]["model_id"] == model_id


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_byte_of_the_model(first_night, tmp_path, threads):
    """Bits, by way of the model's id, which is a hash of every number in it."""
    _, settings = first_night
    for number in range(3):
        write_day(tmp_path, number)
    again = load_settings(write_settings(tmp_path))
    plan = plan_night(again)
    training = train_model(plan, again, LocalEngine(threads, rows_per_task=50))
    expected = load_night_model(settings, rows(settings, "runs")[0]["model_id"])
    assert training.model.segments.parameters == expected.segments.parameters
    assert training.model.segments.anomaly_threshold == expected.segments.anomaly_threshold


def test_a_kept_model_comes_back_as_it_was(first_night):
    _, settings = first_night
    model_id = rows(settings, "runs")[0]["model_id"]
    model = load_night_model(settings, model_id)
    assert model.model_id == model_id
    assert model.provenance["run_id"] == rows(settings, "runs")[0]["run_id"]


POINTS = ["checked", "opened", "table runs", "table publications", "committed", "closed", "published"]


@pytest.mark.parametrize("point", POINTS)
def test_a_night_stopped_while_publishing_and_run_again_ends_as_if_nothing_was(
    first_night, staged_night, tmp_path, point
):
    """Rows of every table and view; nothing is computed again."""

    class StopError(BaseException):
        pass

    def stop(name: str) -> None:
        if name == point:
            raise StopError

    undisturbed = contents(first_night[1])
    settings = copied(staged_night, tmp_path)
    with pytest.raises(StopError):
        publish_night(plan_night(settings), settings, at=stop)
    night = run_night(settings, engines=no_engine)
    assert night.plan.state == "published"
    assert (night.release is None) == (point in ("committed", "closed", "published"))
    assert contents(settings) == undisturbed


def test_a_night_stopped_while_scoring_and_run_again_ends_as_if_nothing_was(first_night, tmp_path):
    """Rows of every table and view; what the first attempt left is gone."""
    shutil.copytree(first_night[0] / "lake", tmp_path / "lake")
    settings = load_settings(write_settings(tmp_path))
    plan = plan_night(settings)
    abandoned = staging_of(settings).begin(plan.run_id)
    Path(abandoned.folder).mkdir(parents=True)
    Path(abandoned.folder, "assignments-000000.parquet").write_bytes(b"half a file")
    run_night(settings)
    assert contents(settings) == contents(first_night[1])
    assert [path for path in files_below(tmp_path) if ".work" in path] == []


@pytest.fixture
def overtaken(staged_night, tmp_path, monkeypatch) -> Settings:
    """A staged night that another process publishes, and clears, while this one is reading what is staged."""
    settings = copied(staged_night, tmp_path)
    read = Attempt._read_table

    def reading(attempt: Attempt, path: str) -> pa.Table:
        monkeypatch.setattr(Attempt, "_read_table", read)
        run_night(settings, engines=no_engine)
        return read(attempt, path)

    monkeypatch.setattr(Attempt, "_read_table", reading)
    return settings


def test_the_slower_of_two_nights_at_once_is_told_that_the_other_published_first(overtaken, first_night):
    plan = plan_night(overtaken)
    with pytest.raises(WarehouseError, match=r"another process computed run .* and published it first"):
        publish_night(plan, overtaken)
    assert contents(overtaken) == contents(first_night[1])


def test_what_another_process_publishes_meanwhile_is_no_error_to_who_finds_it_waiting(overtaken, first_night):
    assert publish_waiting(overtaken) == []
    assert contents(overtaken) == contents(first_night[1])


def test_publishing_what_was_not_scored_is_refused(tmp_path):
    settings = write_world(tmp_path, days=1)
    with pytest.raises(WarehouseError, match="is not staged completely: score it again"):
        publish_night(plan_night(settings), settings)

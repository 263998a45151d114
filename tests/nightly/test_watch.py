"""A year in small: quiet nights keep the champion, a lasting change alerts at once and is then trained for, ids stay."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from gmmdask.errors import InconsistentStatisticsError, SettingsError, StorageError
from gmmdask.monitoring import Thresholds, Verdict
from gmmdask.monitoring.gate import GateDecision
from gmmdask.nightly import challenge, identity, open_engine, plan_night, run_night
from gmmdask.nightly.champions import promote_model, rollback_champion
from gmmdask.nightly.model import load_night_model, save_night_model
from gmmdask.nightly.night import Night
from gmmdask.nightly.plan import warehouse_of
from gmmdask.nightly.reporting import report_night
from gmmdask.nightly.summary import print_night
from gmmdask.nightly.watch import Watched, thresholds, with_drift_action
from gmmdask.registry import load_bundle
from gmmdask.settings import Drift, Settings, load_settings
from tests.nightly.lakes import ROWS, birds, day, files_below, replaced, write_day, write_settings, write_world
from tests.nightly.test_night import contents, copied, rows

TRAINED, WINDOW = 8, 4
DRIFT = f"[drift]\nwindow = {WINDOW}\nfewest_nights = 4\n"


def changes(more: str = "") -> dict[str, str]:
    return {"[warehouse]": f"{DRIFT}{more}\n[warehouse]"}


def heavier(number: int) -> pa.Table:
    """Return birds of which the brown ones weigh much more than before."""
    table = birds(number)
    weight = table["weight"].to_numpy() + 12.0 * (np.asarray(table["colour"]) == "brown")
    return replaced(table, "weight", pa.array(weight, from_pandas=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    run_night(write_world(root, days=TRAINED, changes=changes()))
    return root


@pytest.fixture(scope="module")
def drifted(trained, tmp_path_factory) -> Path:
    """One night before the window is full of heavier birds."""
    root = tmp_path_factory.mktemp("drifted")
    settings = copied(trained, root)
    for number in range(TRAINED, TRAINED + WINDOW - 1):
        write_day(root, number, heavier(number))
        run_night(settings)
    return root


def world(source: Path, root: Path, more: str = "") -> Settings:
    copied(source, root)
    return load_settings(write_settings(root, changes(more)))


def last_run(settings: Settings) -> dict[str, Any]:
    return max(rows(settings, "runs"), key=lambda row: (row["dt"], row["started_at"]))


def decided(settings: Settings, dt: Any) -> dict[str, Any]:
    (row,) = [row for row in rows(settings, "drift") if row["dt"] == dt and row["verdict"] is not None]
    return row


def full_night(settings: Settings, root: Path) -> dict[str, Any]:
    number = TRAINED + WINDOW - 1
    write_day(root, number, heavier(number))
    run_night(settings, day(number))
    return last_run(settings)


def test_quiet_nights_keep_the_champion_and_say_why(trained, tmp_path):
    settings = world(trained, tmp_path)
    for number in range(TRAINED, TRAINED + WINDOW):
        write_day(tmp_path, number)
        run_night(settings)
    runs = [row for row in rows(settings, "runs") if row["action"] != "first"]
    assert {(row["verdict"], row["action"], row["challenger_id"]) for row in runs} == {("keep", "keep", None)}
    first, last = (decided(settings, day(number)) for number in (TRAINED, TRAINED + WINDOW - 1))
    assert "window not full: 1 of 4 nights" in first["reason"]
    assert 0 < last["value"] < last["threshold"]
    parts = [
        row for row in rows(settings, "drift") if row["scope"] == "window" and row["part"] and row["dt"] == last["dt"]
    ]
    assert sum(row["value"] for row in parts) == pytest.approx(last["value"])
    recent = [row for row in rows(settings, "drift") if row["scope"] == "recent" and row["segment_id"] is None]
    assert {(row["dt"], row["part"]) for row in recent if row["window_start"] == day(TRAINED)} == {
        (day(TRAINED + 2), part) for part in ("weight", "mean", "covariance")
    }
    assert len(recent) == 3 * (WINDOW - 2)
    assert all(row["threshold"] > 0 and row["is_alarm"] == (row["value"] > row["threshold"]) for row in recent)


def test_a_lasting_change_is_alerted_in_its_first_night_and_trained_for_when_the_window_is_full(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    before = rows(settings, "runs")
    alerted = min(before, key=lambda row: (row["dt"] <= day(TRAINED - 1), row["dt"]))
    assert (alerted["dt"], alerted["status"], alerted["verdict"]) == (day(TRAINED), "alert", "keep")
    (tonight,) = [
        row
        for row in rows(settings, "drift")
        if (row["dt"], row["scope"], row["statistic"], row["segment_id"]) == (day(TRAINED), "night", "gain", None)
        and row["part"] is None
    ]
    assert tonight["is_alarm"]
    assert re.search(r" is ordinary; the mean of segment \d is \d+% of it$", tonight["reason"])
    assert tonight["value"] > tonight["threshold"]
    run = full_night(settings, tmp_path)
    assert run["verdict"] == run["action"] == "refit"
    assert run["challenger_id"] == run["model_id"] != alerted["model_id"]
    assert run["challenger_score"] > run["champion_score"]
    assert rows(settings, "champion")[0]["champion_id"] == run["model_id"]
    labels = [row for row in rows(settings, "current_assignments") if row["dt"] == run["dt"]]
    assert {row["model_id"] for row in labels} == {run["model_id"]}


def summary(night: Night, settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=1000)
    print_night(night, settings, console)
    return console.file.getvalue()


def report(settings: Settings, root: Path, run_id: str) -> str:
    """The text of a run's report, without markup."""
    page = Path(report_night(settings, root / "report.html", run_id)).read_text(encoding="utf-8")
    text = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_report_and_the_summary_of_a_training_tell_why_and_what_came_of_it(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    number = TRAINED + WINDOW - 1
    write_day(tmp_path, number, heavier(number))
    night = run_night(settings)
    run, shown = last_run(settings), summary(night, settings)
    assert re.search(rf"Drift +refit: {re.escape(decided(settings, run['dt'])['reason'])} *\n", shown)
    assert re.search(rf"Challenger +{run['challenger_id']}; On [\d,]+ held-out rows .*: promoted\. *\n", shown)
    assert "Notes" not in shown
    told = report(settings, tmp_path, run["run_id"])
    assert "trained anew on" in told
    assert "because the data has moved, and beats the one before by" in told
    assert "The verdict is refit, a training anew" in told
    assert "What became of the segments" in told
    assert "kept their ids" in told
    champion = min(rows(settings, "runs"), key=lambda row: row["dt"])
    assert f"{champion['model_id'][:8]} 8 January 2024, {champion['training_rows']:,} rows" in told


def test_a_challenger_that_lost_is_told_and_changes_no_picture(drifted, tmp_path, monkeypatch):
    refused(monkeypatch)
    settings = world(drifted, tmp_path)
    run = full_night(settings, tmp_path)
    told = report(settings, tmp_path, run["run_id"])
    assert "but a new training tonight brought nothing better" in told
    assert "did not win, and the champion was kept. The champion is kept." in told
    assert "What became of the segments" not in told


def test_a_night_of_a_window_that_is_not_full_is_a_sentence(trained, tmp_path):
    settings = world(trained, tmp_path)
    write_day(tmp_path, TRAINED)
    night = run_night(settings)
    assert "Drift" in summary(night, settings)
    told = report(settings, tmp_path, night.plan.run_id)
    assert "Too early to tell: window not full: 1 of 4 nights" in told


def test_the_report_and_the_summary_name_a_change_of_unit_with_its_column(trained, tmp_path):
    settings = world(trained, tmp_path)
    table = birds(TRAINED)
    weight = pa.array(table["weight"].to_numpy() * 2.2046, from_pandas=True)
    write_day(tmp_path, TRAINED, replaced(table, "weight", weight))
    night = run_night(settings)
    alarms = summary(night, settings).split("Alarms", 1)[1]
    assert "weight looks rescaled" in alarms
    assert re.search(r"and \d+ more in the table drift", alarms)
    assert "Column weight looks rescaled" in report(settings, tmp_path, night.plan.run_id)


def test_the_segments_that_continue_keep_their_ids_and_names(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    before = {row["segment_id"]: row for row in rows(settings, "current_segments")}
    run = full_night(settings, tmp_path)
    model = load_night_model(settings, run["model_id"])
    after = {row["segment_id"]: row for row in rows(settings, "current_segments")}
    assert model.alignment is not None
    assert set(before) <= set(after), "the white birds and the heavier brown ones are who they were"
    for segment_id, row in after.items():
        if segment_id in before:
            assert (row["origin"], json.loads(row["predecessors"])[0]) == ("kept", segment_id)
            assert row["overlap"] >= 0.5
        else:
            assert segment_id > max(before)
    fates = {row["segment_id"]: row["fate"] for row in rows(settings, "successions")}
    assert fates == {own: "kept" if own in after else fates[own] for own in before}
    for own in before:  # all that left a segment arrived somewhere; parts below one in a hundred are not told
        parts = [row["departed"] for row in rows(settings, "successions") if row["segment_id"] == own]
        assert 1 - 0.01 * len(after) <= sum(parts) <= 1 + 1e-9


def test_run_again_the_night_of_a_training_is_nothing_to_do(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    full_night(settings, tmp_path)
    before, kept = contents(settings), files_below(tmp_path)
    assert run_night(settings).plan.state == "published"
    assert contents(settings) == before
    assert files_below(tmp_path) == kept


def test_a_training_starts_the_window_anew(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    full_night(settings, tmp_path)
    number = TRAINED + WINDOW
    write_day(tmp_path, number, heavier(number))
    run_night(settings)
    assert "window not full: 1 of 4 nights" in decided(settings, day(number))["reason"]


def test_an_announced_verdict_is_recorded_and_nothing_is_trained(drifted, tmp_path):
    settings = world(drifted, tmp_path, 'action = "announce"\n')
    run = full_night(settings, tmp_path)
    assert (run["verdict"], run["action"], run["challenger_id"], run["status"]) == ("refit", "keep", None, "alert")


def test_acted_upon_an_announced_verdict_leads_to_one_training(drifted, tmp_path):
    settings = world(drifted, tmp_path, 'action = "announce"\n')
    number = TRAINED + WINDOW - 1
    announced = full_night(settings, tmp_path)
    acting = with_drift_action(settings, "act")
    night = run_night(acting, day(number))
    assert night.plan.run_id != announced["run_id"]
    run = last_run(settings)
    assert (run["run_id"], run["action"]) == (night.plan.run_id, "refit")
    assert rows(settings, "champion")[0]["champion_id"] == run["challenger_id"] != announced["model_id"]
    assert {run_night(one, day(number)).plan.state for one in (settings, acting)} == {"published"}
    write_day(tmp_path, number + 1, heavier(number + 1))
    run_night(settings)
    assert "window not full: 1 of 4 nights" in decided(settings, day(number + 1))["reason"]


def in_pounds(number: int) -> pa.Table:
    """Return birds whose weights came in another unit."""
    table = birds(number)
    return replaced(table, "weight", pa.array(table["weight"].to_numpy() / 0.4536, from_pandas=True))


def test_a_feature_in_another_unit_is_an_alert_of_its_own_and_its_nights_are_not_trained_on(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    number = TRAINED + WINDOW - 1
    write_day(tmp_path, number, in_pounds(number))
    run_night(settings)
    (row,) = [row for row in rows(settings, "drift") if row["statistic"] == "unit_change"]
    assert (row["dt"], row["scope"], row["feature"], row["is_alarm"]) == (day(number), "night", "weight", True)
    assert row["value"] == pytest.approx(1 / 0.4536, rel=0.2)
    assert row["reason"].startswith("weight looks rescaled or shifted upstream: x → 2.")
    assert last_run(settings)["status"] == "alert"
    write_day(tmp_path, number + 1, heavier(number + 1))
    run_night(settings)
    run = last_run(settings)
    assert run["verdict"] == "refit"
    trained = [r["dt"] for r in rows(settings, "lineage") if (r["run_id"], r["purpose"]) == (run["run_id"], "train")]
    assert trained == [day(n) for n in range(TRAINED, number + 2) if n != number], "those that differ"
    assert load_night_model(settings, run["challenger_id"]).watch.null.n_nights == WINDOW


def test_a_warm_start_learns_from_the_nights_that_differ_and_knows_what_was_ordinary_before(drifted, tmp_path):
    settings = world(drifted, tmp_path, "refit_ratio = 1e9\n")
    before = load_night_model(settings, rows(settings, "champion")[0]["champion_id"])
    run = full_night(settings, tmp_path)
    assert (run["verdict"], run["action"], run["challenger_id"]) == ("warm-start", "warm-start", run["model_id"])
    assert f"the nights differ since {day(TRAINED)} or before" in run["reason"]
    trained = [r["dt"] for r in rows(settings, "lineage") if (r["run_id"], r["purpose"]) == (run["run_id"], "train")]
    assert trained == [day(TRAINED + n) for n in range(WINDOW)]
    null = load_night_model(settings, run["model_id"]).watch.null
    assert null.n_nights == TRAINED + WINDOW
    assert null.nights[:TRAINED] == before.watch.null.nights
    profile = load_night_model(settings, run["model_id"]).watch.profile
    assert list(profile.rows.by_date) == [day(n) for n in range(TRAINED + WINDOW)]


def with_newcomers(number: int) -> pa.Table:
    """Return birds of which one in five is far heavier than any before: a cluster with the variance of another unit."""
    table = birds(number)
    weight = np.array(table["weight"].to_numpy())
    weight[::5] = 900.0 + np.arange(len(weight[::5])) % 7
    return replaced(table, "weight", pa.array(weight, from_pandas=True))


def test_a_new_cluster_far_out_is_no_change_of_unit_and_is_trained_for(trained, tmp_path):
    settings = world(trained, tmp_path)
    for number in range(TRAINED, TRAINED + WINDOW):
        write_day(tmp_path, number, with_newcomers(number))
        run_night(settings)
    assert [row for row in rows(settings, "drift") if row["statistic"] == "unit_change"] == []
    run = last_run(settings)
    assert run["action"] == "refit"
    assert f"the nights differ since {day(TRAINED)}" in run["reason"]
    trained_on = [r["dt"] for r in rows(settings, "lineage") if (r["run_id"], r["purpose"]) == (run["run_id"], "train")]
    assert trained_on == [day(TRAINED + n) for n in range(WINDOW)]
    newest = day(TRAINED + WINDOW - 1)
    heavy = f"SELECT count(DISTINCT segment_id) AS n FROM current_assignments WHERE dt = '{newest}' AND is_anomaly"
    assert warehouse_of(settings).query(heavy).to_pylist() == [{"n": 0}]


def test_another_window_in_the_settings_takes_effect_with_the_next_champion(trained, tmp_path):
    copied(trained, tmp_path)
    text = (tmp_path / "birds.toml").read_text().replace(f"window = {WINDOW}\n", "window = 2\n")
    (tmp_path / "birds.toml").write_text(text)
    settings = load_settings(tmp_path / "birds.toml")
    for number in (TRAINED, TRAINED + 1):
        write_day(tmp_path, number)
        run_night(settings)
    run = last_run(settings)
    assert run["reason"].startswith("Verdict keep: window not full: 2 of 4 nights")
    assert "[drift] window differs from what model" in run["reason"]


def test_a_date_without_a_row_counts_for_nothing_and_stops_no_later_night(trained, tmp_path):
    settings = world(trained, tmp_path)
    write_day(tmp_path, TRAINED, birds(TRAINED).slice(0, 0))
    for number in (TRAINED + 1, TRAINED + 2):
        write_day(tmp_path, number)
    for number in range(TRAINED, TRAINED + 3):
        run_night(settings, day(number))
    (empty,) = [row for row in rows(settings, "runs") if row["dt"] == day(TRAINED)]
    assert (empty["status"], empty["rows_total"]) == ("alert", 0)
    assert empty["reason"].startswith("No row came. ")
    assert "window not full: 2 of 4 nights" in last_run(settings)["reason"]


def test_a_cell_beyond_all_bounds_costs_its_row_and_no_night(trained, tmp_path):
    settings = world(trained, tmp_path)
    table = birds(TRAINED)
    weight = np.array(table["weight"].to_numpy())
    weight[3] = 1e160
    write_day(tmp_path, TRAINED, replaced(table, "weight", pa.array(weight, from_pandas=True)))
    for number in range(TRAINED + 1, TRAINED + WINDOW):
        write_day(tmp_path, number)
    for number in range(TRAINED, TRAINED + WINDOW):
        run_night(settings, day(number))
    assert last_run(settings)["verdict"] == "keep"
    assert decided(settings, day(TRAINED + WINDOW - 1))["value"] is not None
    invalid = {row["dt"]: row["rows_invalid"] for row in rows(settings, "runs")}
    assert (invalid[day(TRAINED)], invalid[day(TRAINED + 1)]) == (1, 0)


def test_where_every_night_of_the_training_window_came_in_another_unit_nothing_is_tried(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    plan = plan_night(settings, day(TRAINED + WINDOW - 2))
    champion = load_night_model(settings, plan.champion_id)
    verdict = Verdict(decision="refit", reason="", left_out=plan.lake.dates)
    watched = Watched(champion=champion, verdict=verdict, alarms=(), rows=ROWS)
    with open_engine(settings.cluster) as engine:
        tried = challenge.challenge_champion(plan, settings, engine, watched)
    assert (tried.training, tried.decision.is_promoted) == (None, False)
    assert "another unit" in tried.decision.reason


def test_a_champion_that_the_first_version_of_the_null_was_stored_with_judges_on(trained, tmp_path):
    settings = world(trained, tmp_path)
    model = load_night_model(settings, last_run(settings)["model_id"])
    parts = tuple((gain / 2, gain / 4, gain / 4) for gain in model.watch.null.nights)
    former = replace(model.watch.null, runs=(), night_parts=parts)
    old = replace(model, watch=replace(model.watch, null=former))
    save_night_model(settings, old)
    promote_model(settings, old.model_id)
    write_day(tmp_path, TRAINED)
    run_night(settings)
    run = last_run(settings)
    assert (run["model_id"], run["verdict"]) == (old.model_id, "keep")
    night = [row for row in rows(settings, "drift") if (row["scope"], row["statistic"]) == ("night", "gain")]
    assert [row["threshold"] is not None for row in night if row["segment_id"] is None] == [True]


def stuck(number: int) -> pa.Table:
    """Return faster birds of one weight: the scales are dead, and that is not all that is new."""
    table = birds(number, 2 * ROWS)
    faster = replaced(table, "speed", pa.array(table["speed"].to_numpy() + 20.0))
    return replaced(faster, "weight", pa.array(np.full(2 * ROWS, 55.0)))


def test_nights_of_a_dead_sensor_are_labelled_by_the_champion_and_say_why_nothing_was_trained(tmp_path):
    drift = {"[warehouse]": "[drift]\nwindow = 2\nfewest_nights = 2\n\n[warehouse]"}
    settings = write_world(tmp_path, days=4, changes=drift)
    run_night(settings)
    for number in range(4, 8):
        write_day(tmp_path, number, stuck(number))
        run_night(settings)
    runs = {row["dt"]: row for row in rows(settings, "runs")}
    (champion,) = {row["model_id"] for row in runs.values()}
    untried = [row for row in runs.values() if row["verdict"] == "refit"]
    assert untried
    for row in untried:
        assert (row["action"], row["challenger_id"], row["status"]) == ("keep", None, "alert")
        assert "Nothing could be trained: columns without variation: {'weight': 55.0}" in row["reason"]
    assert set(runs) == {day(number) for number in range(3, 8)}
    labelled = [row for row in rows(settings, "current_assignments") if row["dt"] == day(7)]
    assert len(labelled) == 2 * ROWS
    assert {row["model_id"] for row in labelled} == {champion}


@pytest.mark.parametrize("error", [StorageError("gone"), TypeError("wrong"), InconsistentStatisticsError("changed")])
def test_what_bad_data_do_not_raise_stops_the_night(drifted, tmp_path, monkeypatch, error):
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(challenge, "train_anew", failing)
    with pytest.raises(type(error), match=str(error)):
        full_night(world(drifted, tmp_path), tmp_path)


def test_without_drift_nothing_is_watched(tmp_path):
    settings = write_world(tmp_path, days=2, changes={"[warehouse]": '[drift]\naction = "off"\n\n[warehouse]'})
    run_night(settings)
    write_day(tmp_path, 2)
    run_night(settings)
    assert rows(settings, "drift") == []
    assert last_run(settings)["verdict"] is None
    assert load_night_model(settings, last_run(settings)["model_id"]).watch is None


def refused(monkeypatch) -> None:
    decision = GateDecision(is_promoted=False, required=0.0, reason="The champion is kept")
    monkeypatch.setattr(challenge, "decide", lambda *_: decision)


def test_a_challenger_that_loses_is_kept_in_the_registry_and_labels_nothing(drifted, tmp_path, monkeypatch):
    refused(monkeypatch)
    settings = world(drifted, tmp_path)
    champion = rows(settings, "champion")[0]["champion_id"]
    run = full_night(settings, tmp_path)
    assert (run["model_id"], run["action"], run["status"]) == (champion, "keep", "alert")
    assert run["challenger_id"] not in (None, champion)
    assert load_night_model(settings, run["challenger_id"]).model_id == run["challenger_id"]
    assert rows(settings, "champion")[0]["champion_id"] == champion
    assert run["reason"].endswith("The champion is kept.")


def test_ids_of_a_challenger_that_lost_are_never_given_again(drifted, tmp_path, monkeypatch):
    settings = world(drifted, tmp_path)
    with monkeypatch.context() as patch:
        refused(patch)
        run = full_night(settings, tmp_path)
    lost = load_night_model(settings, run["challenger_id"]).segments.segment_ids
    features = load_settings(write_settings(tmp_path, {**changes(), '"speed", "weight"': '"weight", "speed"'}))
    write_day(tmp_path, TRAINED + WINDOW, heavier(TRAINED + WINDOW))
    run_night(features, refit=True)
    fresh = {row["segment_id"] for row in rows(settings, "current_segments")}
    assert min(fresh) > max(lost), "other features: no segment continues"


def test_a_registry_that_does_not_answer_gives_no_id_and_one_that_lost_a_model_does(drifted, tmp_path, monkeypatch):
    settings = world(drifted, tmp_path)
    known = identity.greatest_id(settings, "another")
    folder = tmp_path / "registry" / "birds" / "0123456789abcdef"
    (folder / "bundle.json").mkdir(parents=True)
    damaged = folder.with_name("fedcba9876543210")
    damaged.mkdir()
    (damaged / "bundle.json").write_bytes(b"{")
    assert identity.greatest_id(settings, "another") == known > 0

    def refusing(self: object, path: str, **_: object) -> bytes:
        raise PermissionError(13, "denied", path)

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.cat_file", refusing)
    with pytest.raises(StorageError):
        identity.greatest_id(settings, "another")


def test_what_was_observed_is_made_again_where_it_is_gone(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    champion = rows(settings, "champion")[0]["champion_id"]
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    for root in (kept, gone):
        root.mkdir()
        world(drifted, root)
    nights = gone / "registry" / "birds" / champion / "nights"
    assert len(list(nights.iterdir())) == WINDOW - 1
    shutil.rmtree(nights)
    told = [full_night(load_settings(root / "birds.toml"), root) for root in (kept, gone)]
    assert told[0]["reason"] == told[1]["reason"]
    found = [decided(load_settings(root / "birds.toml"), told[0]["dt"]) for root in (kept, gone)]
    assert found[0]["value"] == pytest.approx(found[1]["value"], rel=1e-12)


def test_what_was_observed_and_is_damaged_is_made_again_and_replaced(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    champion = rows(settings, "champion")[0]["champion_id"]
    nights = sorted((tmp_path / "registry" / "birds" / champion / "nights").iterdir())
    for night, content in zip(nights, (b'{"format": 1, "kind', b"[1]", b""), strict=True):
        (night / "bundle.json").write_bytes(content)
    (nights[1] / "arrays.npz").unlink()
    assert full_night(settings, tmp_path)["verdict"] == "refit"
    assert [load_bundle(str(night)).kind for night in nights] == ["observation"] * len(nights)


def test_a_rewritten_night_of_a_training_is_judged_and_trained_again(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    first = full_night(settings, tmp_path)
    number = TRAINED + WINDOW - 1
    write_day(tmp_path, number, heavier(number).slice(0, 140))
    run_night(settings)
    again = last_run(settings)
    assert (again["verdict"], again["action"]) == ("refit", "refit")
    assert again["model_id"] != first["model_id"]
    assert rows(settings, "champion")[0]["champion_id"] == again["model_id"]


def test_a_rollback_after_a_training_is_seen_in_the_views_and_watched_on(drifted, tmp_path):
    settings = world(drifted, tmp_path)
    champion = rows(settings, "champion")[0]["champion_id"]
    run = full_night(settings, tmp_path)
    rollback_champion(settings)
    assert rows(settings, "champion")[0]["champion_id"] == champion
    write_day(tmp_path, TRAINED + WINDOW, heavier(TRAINED + WINDOW))
    run_night(settings)
    assert last_run(settings)["model_id"] == champion
    rollback_champion(settings)
    assert rows(settings, "champion")[0]["champion_id"] == run["model_id"]


class KilledError(Exception):
    """Stands for a process that was killed."""


def killed_at(where: str) -> Callable[[str], None]:
    def at(point: str) -> None:
        if point == where:
            raise KilledError

    return at


@pytest.mark.parametrize("point", ["watched", "challenger trained", "bundle arrays written", "compared", "staged"])
def test_stopped_while_a_challenger_is_tried_and_run_again_a_night_ends_as_if_nothing_was(drifted, tmp_path, point):
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    for root in (undisturbed, stopped):
        root.mkdir()
    expected = world(drifted, undisturbed)
    settings = world(drifted, stopped)
    full_night(expected, undisturbed)
    # The same times of files: they are part of what a run is known by.
    shutil.copytree(undisturbed / "lake", stopped / "lake", dirs_exist_ok=True)
    before = contents(settings)
    with pytest.raises(KilledError):
        run_night(settings, at=killed_at(point))
    assert contents(settings) == before
    run_night(settings)
    assert contents(settings) == contents(expected)
    assert files_below(stopped) == files_below(undisturbed)


def test_thresholds_that_contradict_each_other_are_refused(tmp_path):
    path = write_settings(tmp_path, changes("smallest_gain = 0.5\n"))
    with pytest.raises(SettingsError, match=r"refit_gain.*must not be less than smallest_gain"):
        load_settings(path)


def test_the_settings_defaults_are_those_that_were_chosen_by_measurement():
    assert thresholds(Drift()) == Thresholds()

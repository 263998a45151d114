"""What of a run becomes an alert, and that it is told once, whatever fails."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from gmmdask.nightly.alerts import Alert, alerts_of, deliver_alerts
from gmmdask.nightly.delivery import Unreachable
from gmmdask.settings import Settings, load_settings
from gmmdask.warehouse import Publication
from gmmdask.warehouse.duckdb_file import DuckDBFile
from gmmdask.warehouse.release import Release, conform_tables
from tests.nightly.lakes import write_settings
from tests.nightly.test_delivery import Hook, hook  # noqa: F401  a fixture
from tests.warehouse.examples import DAY, run_row

NOW = datetime(2013, 5, 2, 5, tzinfo=UTC)
RUN = {**run_row("r1", 10), "run_id": "r1", "segmentation": "birds", "model_id": "m1", "report_uri": None}
GAIN = {
    "dt": DAY,
    "scope": "window",
    "window_start": DAY - timedelta(days=27),
    "rows": 280,
    "statistic": "gain",
    "value": 0.0041,
    "unit": "nats per row",
    "threshold": 0.0019,
    "is_alarm": False,
    "verdict": "keep",
}
NULLS = {
    "dt": DAY,
    "scope": "night",
    "window_start": DAY,
    "rows": 10,
    "statistic": "null_rate",
    "feature": "weight",
    "value": 0.012,
    "unit": "share",
    "threshold": 0.004,
    "is_alarm": True,
    "reason": "weight is missing in 1.2% of the rows",
}


def complete(row: dict) -> dict:
    names = ("segment_id", "part", "feature", "category", "verdict", "reason")
    return {**dict.fromkeys(names), **row}


def of(run: dict, *drift: dict) -> tuple[Alert, ...]:
    return alerts_of({"challenger_id": None, "verdict": None, "reason": None, **run}, map(complete, drift))


def test_a_quiet_run_is_no_alert():
    assert of({**RUN, "verdict": "keep", "reason": "kept"}, GAIN) == ()
    assert of(RUN) == ()


def test_an_alarm_says_what_where_how_much_and_what_to_do():
    (alert,) = of({**RUN, "verdict": "keep"}, GAIN, NULLS)
    assert (alert.what, alert.where, alert.value, alert.threshold) == ("null rate", "weight", 0.012, 0.004)
    assert alert.line == (
        "null rate of weight 0.012 share (threshold 0.004): weight is missing in 1.2% of the rows. "
        "To do: find out why cells of this column went missing; no retraining mends that."
    )


@pytest.mark.parametrize(
    ("challenger", "remedy"),
    [(None, "retrain by gmmdask nightly"), ("m1", "the new model won"), ("m9", "the champion was kept")],
)
def test_a_verdict_comes_first_with_its_number_and_what_became_of_it(challenger, remedy):
    run = {**RUN, "verdict": "refit", "reason": "much moved", "challenger_id": challenger}
    first, second = of(run, {**GAIN, "verdict": "refit"}, NULLS)
    assert (first.what, first.value, first.reason) == ("the verdict refit", 0.0041, "much moved")
    assert remedy in first.remedy
    assert second.what == "null rate"


def test_a_night_that_calls_for_training_promises_no_later_one():
    decision, tonight = {**GAIN, "verdict": "refit", "is_alarm": True}, {**GAIN, "verdict": None, "is_alarm": True}
    told = of({**RUN, "verdict": "refit"}, decision, {**tonight, "scope": "night"})
    assert [(alert.what, "call for" in alert.remedy) for alert in told] == [
        ("the verdict refit", False),
        ("drift", False),
    ]


def test_a_night_without_a_label_says_so_first():
    first, second = of({**RUN, "rows_ok": 0, "status": "alert"}, NULLS)
    assert (first.what, first.reason) == ("labels", "no row of the night has a segment")
    assert second.what == "null rate"


def test_a_night_without_a_row_is_an_alert():
    (alert,) = of({**RUN, "rows_total": 0, "rows_ok": 0, "status": "alert"})
    assert (alert.what, alert.reason) == ("rows", "the night brought no row")


def test_a_night_in_another_unit_is_promised_no_retraining():
    alarm = {**NULLS, "statistic": "gain"}
    assert "call for a retraining" in of(RUN, alarm)[0].remedy
    told = of(RUN, alarm, {**NULLS, "statistic": "unit_change"})
    assert [("no retraining" in alert.remedy, "will call" in alert.remedy) for alert in told] == [(True, False)] * 2


def test_what_several_statistics_see_of_one_column_is_told_once():
    moved = [{**NULLS, "statistic": statistic} for statistic in ("ks", "null_rate", "psi", "wasserstein")]
    other = [{**NULLS, "statistic": "psi", "feature": "height"}]
    assert [(alert.what, alert.where) for alert in of(RUN, *moved, *other)] == [
        ("null rate", "weight"),
        ("wasserstein", "weight"),
        ("psi", "height"),
    ]
    told = of(RUN, *moved, *other, {**NULLS, "statistic": "unit_change"})
    assert [alert.what for alert in told] == ["null rate", "psi", "unit change"]


def test_a_status_without_any_number_is_an_alert_too():
    (alert,) = of({**RUN, "status": "alert", "reason": "every candidate was disqualified"})
    assert alert.line.startswith("the outcome of the run: every candidate was disqualified. To do:")


def test_a_reason_of_several_lines_is_one_line():
    assert "\n" not in of(RUN, {**NULLS, "reason": "first\nsecond"})[0].line


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load_settings(write_settings(tmp_path))


def publish(settings: Settings, run_id: str = "r1", *drift: dict, at: datetime = NOW, **changes) -> None:
    publication = Publication(
        segmentation="birds", kind="night", dt=DAY, model_id="m1", run_id=run_id, champion_id="m1"
    )
    run = {**run_row(run_id, 10), "verdict": "keep", **changes}
    tables = conform_tables(publication, {"runs": [run], "drift": list(drift)})
    path = settings.warehouse.uri
    Path(path).parent.mkdir(exist_ok=True)
    DuckDBFile(path=path, now=lambda: at).publish(Release(publications=(publication,), tables=tables))


def with_alerts(settings: Settings, **changes) -> Settings:
    return settings.model_copy(update={"alerts": settings.alerts.model_copy(update=changes)})


def tell(settings: Settings, **more):
    return deliver_alerts(settings, more, now=lambda: NOW + timedelta(hours=1))


class Recorder:
    """A way out that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.messages = failures, []

    def __call__(self, message) -> str:
        self.messages.append(message)
        self.failures -= 1
        return "it is broken" if self.failures >= 0 else ""


def test_an_alert_is_told_once_and_a_quiet_night_writes_nothing(settings, tmp_path):
    publish(settings, "quiet", GAIN)
    channel = Recorder()
    assert tell(settings, test=channel) == ()
    assert not (tmp_path / "house/warehouse.work").exists()
    publish(settings, "loud", GAIN, NULLS)
    (delivery,) = tell(settings, test=channel)
    assert (delivery.run_id, delivery.channels, delivery.troubles) == ("loud", ("log", "test"), ())
    assert tell(settings, test=channel) == ()
    assert len(channel.messages) == 1


def test_a_way_out_that_failed_is_tried_again_alone(settings, caplog):
    publish(settings, "loud", NULLS)
    broken, sound = Recorder(failures=1), Recorder()
    with caplog.at_level(logging.WARNING, logger="gmmdask.alerts"):
        (first,) = tell(settings, broken=broken, sound=sound)
    assert (first.channels, first.troubles) == (("log", "sound"), ("it is broken",))
    assert "run loud were not delivered: it is broken" in caplog.text
    (second,) = tell(settings, broken=broken, sound=sound)
    assert second.channels == ("broken",)
    assert (len(broken.messages), len(sound.messages)) == (2, 1)
    assert tell(settings, broken=broken, sound=sound) == ()


def test_a_way_out_that_does_not_answer_is_tried_once_a_call_however_many_runs_wait(settings):
    for number in range(3):
        publish(settings, f"loud{number}", NULLS, at=NOW + timedelta(minutes=number))
    tried = []

    def dead(message) -> str:
        tried.append(message["run_id"])
        return Unreachable("nobody is there")

    refusing = Recorder(failures=1)
    deliveries = tell(settings, dead=dead, refusing=refusing)
    assert tried == ["loud0"]
    assert [one.troubles for one in deliveries] == [
        ("nobody is there", "it is broken"),
        ("nobody is there",),
        ("nobody is there",),
    ]
    assert len(refusing.messages) == 3, "what it says of one message need not hold for the next"
    tell(settings, dead=lambda message: tried.append(message["run_id"]) or "", refusing=refusing)
    assert tried == ["loud0", "loud0", "loud1", "loud2"]


def test_runs_are_told_oldest_first_and_old_ones_no_more(settings):
    publish(settings, "stale", NULLS, at=NOW - timedelta(days=4))
    publish(settings, "second", NULLS, at=NOW - timedelta(days=1))
    publish(settings, "third", NULLS)
    assert [one.run_id for one in tell(settings)] == ["second", "third"]


def test_the_message_is_json_with_words_and_numbers(settings):
    publish(settings, "loud", {**GAIN, "verdict": "refit"}, NULLS, verdict="refit", reason="much moved")
    channel = Recorder()
    tell(settings, test=channel)
    (message,) = json.loads(json.dumps(channel.messages))
    assert message["text"].splitlines() == message["lines"]
    assert message["lines"][0].startswith(
        "birds, 2013-05-01, run loud: the verdict refit of the model 0.0041 nats per row"
    )
    assert {key: message[key] for key in ("segmentation", "dt", "run_id", "verdict", "report")} == {
        "segmentation": "birds",
        "dt": "2013-05-01",
        "run_id": "loud",
        "verdict": "refit",
        "report": None,
    }
    assert [alert["where"] for alert in message["alerts"]] == ["the model", "weight"]


def test_command_and_webhook_of_the_settings_are_used(settings, tmp_path, hook):  # noqa: F811
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    path = tmp_path / "got.json"
    named = with_alerts(
        settings,
        command=(sys.executable, "-c", program, str(path)),
        webhook=SecretStr(f"{hook.address}/secret"),
        timeout=30.0,
    )
    publish(settings, "loud", NULLS)
    (delivery,) = tell(named)
    assert delivery.channels == ("log", "command", "webhook")
    assert [one["body"] for one in hook.received] == [json.loads(path.read_text())]
    assert hook.received[0]["path"] == "/secret"


def test_neither_log_nor_result_tells_the_secret_of_a_webhook_that_fails(settings, hook: Hook, caplog):  # noqa: F811
    hook.answers = [404]
    publish(settings, "loud", NULLS)
    with caplog.at_level(logging.DEBUG):
        (delivery,) = tell(with_alerts(settings, webhook=SecretStr(f"{hook.address}/T0K3N")))
    assert delivery.troubles == ("the webhook at 127.0.0.1 answered 404",)
    assert "T0K3N" not in caplog.text + repr(delivery)


def test_without_a_warehouse_nothing_is_raised(settings, caplog):
    assert tell(settings) == ()
    assert "no alert was looked for" in caplog.text


def test_a_receipt_that_cannot_be_written_or_read_costs_a_repetition_and_no_night(settings, tmp_path, caplog):
    publish(settings, "loud", NULLS)
    place = tmp_path / "house/warehouse.work"
    place.write_text("a file where a folder should be")
    channel = Recorder()
    assert [len(tell(settings, test=channel)) for _ in range(2)] == [1, 1]
    assert "cannot be noted" in caplog.text
    place.unlink()
    (place / "alerts").mkdir(parents=True)
    (place / "alerts/loud.json").write_text("{")
    assert len(tell(settings, test=channel)) == 1
    assert tell(settings, test=channel) == ()
    assert len(channel.messages) == 3


def test_a_change_of_champion_by_hand_is_no_alert(settings):
    publish(settings, "loud", NULLS)
    tell(settings)
    with duckdb.connect(settings.warehouse.uri) as connection:
        connection.execute(
            "INSERT INTO publications VALUES (2, 'birds', 'rollback', ?, NULL, 'm0', 'm0', ?)", [DAY, NOW]
        )
    assert tell(settings) == ()

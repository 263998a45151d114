"""The trend page: what of a segmentation's history it tells, what it must never contain, how it looks."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import StorageError, UnknownNameError, WarehouseError
from gmmdask.report.layout import write_page
from gmmdask.report.trend import render_trend
from gmmdask.report.trend.figures import figures, reaches
from gmmdask.report.trend.findings import Day
from gmmdask.report.trend.reading import read_trend
from gmmdask.report.trend.story import notes, sentences
from gmmdask.report.trend.tables import alert_rows, segment_rows, training_rows
from gmmdask.warehouse.duckdb_file import DuckDBFile
from tests.report.browser import ABSENT, CHROMIUM, render
from tests.report.test_page import ATTACK, Words
from tests.report.years import (
    NAMES,
    SEGMENTATION,
    Year,
    day_of,
    density_of,
    gain_of,
    model_of,
    publish_year,
    rows_of,
)

SHORT = Year(
    dates=70,
    together=12,
    retrained={30: ("warm-start", True), 36: ("warm-start", False), 44: ("refit", True)},
    announced=(60,),
    by_hand={50: "rollback", 54: "promote"},
    repeated=(33,),
    absent=(40, 41),
    alarmed=(27, 30, 64),
)


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> DuckDBFile:
    return publish_year(tmp_path_factory.mktemp("short"), SHORT)


@pytest.fixture(scope="module")
def trend(short):
    return read_trend(short, SEGMENTATION)


@pytest.fixture(scope="module")
def page(short):
    return render_trend(short, SEGMENTATION)


def test_every_published_date_is_there_once_with_its_rows(trend):
    expected = [number for number in range(SHORT.dates) if number not in SHORT.absent]
    assert [one.dt for one in trend.days] == [day_of(number) for number in expected]
    rows = [7_000 if number in SHORT.repeated else rows_of(number) for number in expected]
    assert [one.rows for one in trend.days] == rows
    assert all(sum(one.sizes.values()) == one.rows_ok == one.rows for one in trend.days)


def test_dates_that_one_run_published_together_have_numbers_of_their_own(trend, short):
    """Against the assignments, counted date by date."""
    with duckdb.connect(short.path, read_only=True) as connection:
        for number in range(SHORT.together):
            counted = connection.execute(
                "SELECT segment_id, count(*) FROM current_assignments WHERE dt = ? GROUP BY ALL", [day_of(number)]
            ).fetchall()
            assert dict(counted) == trend.days[number].sizes
            assert trend.days[number].mean_log_density == pytest.approx(density_of(number), abs=1e-6)
            assert trend.days[number].anomalies == 2


def test_a_repeated_date_shows_its_latest_run_and_keeps_the_verdict_of_its_night(trend):
    dt = day_of(SHORT.repeated[0])
    (shown,) = [one for one in trend.days if one.dt == dt]
    (night,) = [one for one in trend.nights if one.dt == dt]
    assert (shown.rows, night.kind, night.verdict) == (7_000, "night", "keep")


def test_the_models_of_the_dates_are_those_in_force_with_rollback_and_reversal(trend):
    labelled = [(reach.model_id, reach.first) for reach in reaches(trend.days)]
    assert labelled == [
        (model_of(0), day_of(0)),
        (model_of(1), day_of(30)),
        (model_of(3), day_of(44)),
        (model_of(1), day_of(51)),
        (model_of(3), day_of(55)),
    ]
    assert [(reign.kind, reign.dt) for reign in trend.changes] == [
        ("night", day_of(30)),
        ("night", day_of(44)),
        ("rollback", day_of(50)),
        ("promote", day_of(54)),
    ]
    assert (trend.champion.champion_id, trend.champion.dt) == (model_of(3), day_of(54))


def test_the_statistic_of_every_night_is_told_with_its_threshold_and_without_its_parts(trend):
    known = {gain.dt: gain for gain in trend.windows if gain.value is not None}
    full = [number for number in range(SHORT.together + 14, SHORT.dates) if number not in SHORT.absent]
    assert {dt: gain.value for dt, gain in known.items()} == {day_of(one): gain_of(one, SHORT) for one in full}
    assert {gain.threshold for gain in known.values()} == {0.0019}
    assert [gain.dt for gain in trend.tonight if gain.is_alarm] == [day_of(one) for one in SHORT.alarmed]


def test_no_line_bridges_nights_whose_window_is_not_full(trend):
    unknown = {day_of(33), day_of(34)}
    drawn = figures(replace(trend, windows=tuple(gain for gain in trend.windows if gain.dt not in unknown)))["window"]
    (line,) = (trace for trace in drawn.data if trace.name == "drift statistic")
    values = dict(zip(line.x, line.y, strict=True))
    assert {dt for dt in unknown if values[dt.isoformat()] is None} == unknown
    assert values[day_of(32).isoformat()] is not None


def test_nights_that_alarm_alone_and_those_that_alarm_together_have_marks_of_their_own(trend):
    quiet = next(gain.dt for gain in reversed(trend.tonight) if not gain.is_alarm)
    recent = {**trend.alarms[0], "dt": quiet, "scope": "recent", "part": "mean"}
    drawn = figures(replace(trend, alarms=[*trend.alarms, recent]))["tonight"]
    marks = {trace.name: list(trace.x) for trace in drawn.data if trace.mode == "markers"}
    assert marks == {
        "alarm": [day_of(one).isoformat() for one in SHORT.alarmed],
        "alarm of three nights": [quiet.isoformat()],
    }
    assert ("drift", "mean") in [(row.what, row.where) for row in alert_rows(replace(trend, alarms=[recent]))[0]]


def test_trainings_calls_and_changes_by_hand_are_listed_latest_first(trend):
    told = [(row.dt, row.what, row.outcome, row.difference) for row in training_rows(trend)]
    assert told == [
        (day_of(60), "warm-start", "announced only", "–"),
        (day_of(54), "promote", "promoted by hand", "–"),
        (day_of(50), "rollback", "rolled back to", "–"),
        (day_of(44), "refit", "promoted", "+0.0171"),
        (day_of(36), "warm-start", "not promoted", "−0.0035"),
        (day_of(30), "warm-start", "promoted", "+0.0171"),
        (day_of(11), "first model", "champion", "–"),
    ]


def test_alerts_are_alarms_verdicts_and_runs_that_say_so(trend):
    rows, left = alert_rows(trend)
    assert left == 0
    assert [(row.dt, row.what) for row in rows] == [
        (day_of(64), "drift"),
        (day_of(60), "verdict warm-start"),
        (day_of(44), "verdict refit"),
        (day_of(36), "verdict warm-start"),
        (day_of(30), "drift"),
        (day_of(30), "verdict warm-start"),
        (day_of(27), "drift"),
        (day_of(27), "null rate"),
    ]
    assert list(trend.alerted) == sorted({row.dt for row in rows})
    assert rows[1].value == "0.00410 nats"


def test_more_alerts_than_anyone_reads_are_counted(trend):
    many = replace(trend, alarms=list(trend.alarms) * 100)
    rows, left = alert_rows(many)
    assert (len(rows), len(rows) + left) == (120, 4 * 100 + 4)


def test_the_story_counts_nights_retrainings_alerts_and_names_the_champion(trend):
    told = sentences(trend)
    rows = sum(one.rows for one in trend.days)
    assert told[0] == f"{rows:,} rows of 1 January 2023 to 11 March 2023 (68 dates) were labelled in 57 nights."
    assert told[1] == "A model was retrained 3 times (2 warm starts and 1 refit), and 2 became champion."
    assert told[2] == "6 nights raised an alert, the last of them that of 6 March 2023."
    assert told[3] == f"Model {model_of(3)} has been the champion since 24 February 2023, promoted by hand."
    assert told[4].startswith("The mean share that moved most is that of “Families in large flats")
    assert re.search(r": [0-9.]+% of the first 28 dates, [0-9.]+% of the last 28 dates\.$", told[4])


def test_missing_dates_and_calls_without_a_training_are_worth_a_second_look(trend):
    told = notes(trend)
    assert told == [
        "2 dates between the first and the last have no labels: 10 February 2023 and 11 February 2023.",
        "Drift called for a retraining once without one being done, last on 2 March 2023.",
    ]


def test_a_segment_tells_since_when_it_is_there_and_what_it_came_from(trend):
    last = segment_rows(trend)[-1]
    assert (last.life.segment_id, last.seen, last.origin) == (11, "since 14 February 2023", "split from 3")
    assert {row.seen for row in segment_rows(trend)[:-1]} == {"throughout"}


def test_shares_are_stacked_by_id_in_colours_that_stay(trend):
    """With and without the segments that came later."""
    drawn = figures(trend)["shares"].data
    early = figures(replace(trend, days=trend.days[:20], lives=trend.lives[:-1]))["shares"].data
    assert [trace.fillcolor for trace in drawn][:-1] == [trace.fillcolor for trace in early]
    heights = [sum(column) for column in zip(*(trace.y for trace in drawn), strict=True)]
    gap = [number for number, height in enumerate(heights) if height == 0]
    assert [drawn[0].x[number] for number in gap] == [str(day_of(one)) for one in SHORT.absent]
    assert all(height == pytest.approx(1, abs=1e-5) for number, height in enumerate(heights) if number not in gap)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abc")), min_size=1, max_size=40))
def test_reaches_cover_every_date_once_and_neighbours_differ(steps):
    dt, days = date(2024, 1, 1), []
    for step, model in steps:
        dt += timedelta(days=step)
        days.append(Day(dt=dt, model_id=model, rows=0, rows_ok=0, anomalies=None, mean_log_density=None, sizes={}))
    found = list(reaches(days))
    covered = [one.model_id for one in found for _ in range(one.dates)]
    assert covered == [one.model_id for one in days]
    assert all(old.model_id != new.model_id and old.last < new.first for old, new in pairwise(found))


def test_a_single_night_has_a_page(tmp_path):
    warehouse = publish_year(tmp_path, Year(dates=1, together=1, segments=3))
    words = Words(render_trend(warehouse, SEGMENTATION)).words
    assert "1 January 2023 (1 date)" in words
    assert "No night raised an alert." in words


def test_a_segmentation_of_which_nothing_was_published_is_an_error(short, tmp_path):
    with pytest.raises(UnknownNameError, match="'orders'"):
        read_trend(short, "orders")
    with pytest.raises(WarehouseError, match="no warehouse"):
        render_trend(DuckDBFile(path=str(tmp_path / "none.duckdb")), SEGMENTATION)
    assert list(tmp_path.iterdir()) == []


def test_the_same_warehouse_gives_the_same_page_which_loads_nothing(page, short):
    assert render_trend(short, SEGMENTATION) == page
    elements = Words(page).elements
    assert [name for _, given in elements for name in given if name in ("src", "href", "srcset", "data")] == []
    policy = next(given["content"] for _, given in elements if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert page.count("plotly.js v") == 1


def test_names_and_reasons_from_data_are_text_and_never_markup(tmp_path):
    year = Year(dates=30, together=5, segments=4, retrained={20: ("refit", True)}, alarmed=(21,), reasons=ATTACK)
    warehouse = publish_year(tmp_path, replace(year, announced=(), by_hand={}, repeated=(), absent=()))
    warehouse.name_segment(SEGMENTATION, 2, ATTACK)
    page = render_trend(warehouse, SEGMENTATION)
    assert ATTACK not in page
    assert "<script>alert" not in page
    assert not any(tag == "img" for tag, _ in Words(page).elements)
    assert ATTACK in Words(page).words


def test_a_page_that_cannot_be_written_is_named_and_leaves_nothing_behind(short, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=f"the trend of '{SEGMENTATION}'"):
        write_page(
            render_trend(short, SEGMENTATION), str(tmp_path / "file" / "trend.html"), f"the trend of {SEGMENTATION!r}"
        )
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)
@pytest.mark.parametrize("width", [1200, 520])
def test_every_figure_draws_and_nothing_sticks_out(page, width):
    found = render(page, width=width)
    names = ("models", "shares", "window", "tonight", "density", "anomalies", "rows", "durations")
    assert set(found.marks) == {f"figure-{name}" for name in names}
    assert all(found.marks.values()), found.marks
    assert found.marks["figure-shares"] == SHORT.segments
    assert (found.trouble, found.overflow) == ("", 0)


def test_named_segments_are_called_by_their_names(page):
    words = Words(page).words
    assert all(name in words for name in NAMES if name)

"""What the trend page says of shares and of the champion is true beside its pictures, whatever happened."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gmmdask.report.trend import page as trend_page
from gmmdask.report.trend import render_trend
from gmmdask.report.trend.findings import Trend
from gmmdask.report.trend.reading import read_trend
from gmmdask.report.trend.story import mean_shares, sentences, stretch_words
from gmmdask.report.trend.tables import segment_rows
from gmmdask.report.wording import percent
from gmmdask.warehouse.duckdb_file import DuckDBFile
from tests.report.test_page import Words
from tests.report.test_trend import SHORT
from tests.report.years import SEGMENTATION, day_of, model_of, publish_year


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> DuckDBFile:
    return publish_year(tmp_path_factory.mktemp("words"), SHORT)


@pytest.fixture(scope="module")
def trend(short) -> Trend:
    return read_trend(short, SEGMENTATION)


def test_how_the_champion_came_to_be_is_true_of_every_kind(trend):
    """The fourth sentence, with the publications up to one of each kind."""
    told = {
        end.kind: sentences(replace(trend, reigns=trend.reigns[: trend.reigns.index(end) + 1]))[3]
        for end in trend.changes[1:]
    }
    assert told == {
        "night": f"Model {model_of(3)} has been the champion since 14 February 2023, trained that night.",
        "rollback": f"Model {model_of(1)} has been the champion since 20 February 2023, by a rollback.",
        "promote": f"Model {model_of(3)} has been the champion since 24 February 2023, promoted by hand.",
    }
    first = sentences(replace(trend, reigns=trend.reigns[:1]))[3]
    assert first == f"Model {model_of(0)} has been the champion since 12 January 2023, trained that night."


def test_shares_that_stay_are_told_with_the_dates_whose_means_they_are(trend):
    """A segment that trebles on a single date, and is what it was on all others."""
    steady = [replace(one, model_id="m", rows_ok=100, sizes={1: 88, 2: 12}) for one in trend.days]
    steady[-3] = replace(steady[-3], sizes={1: 64, 2: 36})
    found = replace(trend, days=tuple(steady), lives=trend.lives[:2], members={"m": frozenset({1, 2})})
    told = "is more than 1 percentage point away from that of the first 28 dates."
    assert sentences(found)[4] == f"No segment's mean share of the last 28 dates {told}"
    assert [row.highest for row in segment_rows(found)] == ["88.0%", "36.0%"]


def test_the_table_of_segments_says_of_which_dates_a_mean_is(short, trend):
    page = render_trend(short, SEGMENTATION)
    assert "Mean of the first 28 dates Mean of the last 28 dates" in Words(page).words
    assert stretch_words(replace(trend, days=trend.days[:3]), "last") == "Last date"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=70))
def test_a_mean_share_is_never_beyond_the_lowest_and_the_highest(trend, labelled):
    """Models a and b have segment 1, c has not; on some dates no row has a segment."""
    days = [
        replace(trend.days[0], dt=day_of(number), model_id=model, rows_ok=own + other, sizes={1: own, 2: other})
        for number, (model, other, had) in enumerate(labelled)
        for own in [0 if model == "c" else had]
    ]
    days = [replace(one, sizes={key: size for key, size in one.sizes.items() if size}) for one in days]
    assume(any(1 in one.sizes for one in days))
    members = {"a": frozenset({1, 2}), "b": frozenset({1, 2}), "c": frozenset({2})}
    found = replace(trend, days=tuple(days), lives=trend.lives[:1], members=members)
    shares = [one.share(1) for one in days if one.rows_ok and one.model_id != "c"]
    for mean in mean_shares(found, trend.lives[0]):
        assert mean is None or min(shares) - 1e-12 <= mean <= max(shares) + 1e-12
    (row,) = segment_rows(found)
    assert (row.lowest, row.highest) == (percent(min(shares)), percent(max(shares)))


def test_a_segment_that_no_model_of_the_last_dates_has_is_absent_there_and_not_at_nought(trend):
    early = [replace(one, model_id="old", sizes={2: one.rows_ok}) for one in trend.days[:40]]
    late = [replace(one, model_id="new", sizes={3: one.rows_ok}) for one in trend.days[40:]]
    members = {"old": frozenset({2}), "new": frozenset({3})}
    found = replace(trend, days=(*early, *late), lives=trend.lives[1:3], members=members)
    assert [(row.before, row.after) for row in segment_rows(found)] == [("100%", "–"), ("–", "100%")]
    assert sentences(found)[4] == "None of the segments of the first 28 dates is left on the last 28 dates."


def test_each_night_alone_is_explained_before_the_first_verdict_too(trend, monkeypatch):
    """On a page that has no paragraph above it."""
    monkeypatch.setattr(trend_page, "read_trend", lambda *_: replace(trend, windows=()))
    words = Words(render_trend(None, SEGMENTATION)).words
    (hint,) = re.findall(r"Each night alone (.*?)decides nothing", words)
    assert hint.startswith("What one step of retraining would surely gain in log-likelihood per row")

"""What a report says of change: verdict, what moved, alarms, the challenger, and what became of the segments."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.mixture.alignment import Alignment, align
from gmmdask.report import render_report
from gmmdask.report.change import story
from gmmdask.report.change.figures import flow_figure, gain_figure
from gmmdask.report.change.findings import change_of
from gmmdask.report.change.succession import Event, succession_words, told_once
from gmmdask.report.findings import Findings
from gmmdask.report.reading import read_findings
from gmmdask.report.story import notes, sentences
from tests.report.test_page import ATTACK, Words
from tests.report.worlds import GATE_REASON, LONG_NAMES, NIGHT, RUN, made_up_alignment

NOT_FULL = "window not full: 3 of 28 nights since the last training"
EMPTY = dict.fromkeys(
    ("segment_id", "part", "feature", "category", "value", "reference", "threshold", "reason", "verdict")
)


@pytest.fixture(scope="module")
def drifted(large_world) -> Findings:
    return read_findings(large_world.warehouse, RUN)


@pytest.fixture(scope="module")
def quiet(world) -> Findings:
    """A run of three segments in which nothing was judged."""
    return read_findings(world.warehouse, RUN)


def row(statistic: str, scope: str = "night", **values) -> dict:
    common = {"scope": scope, "statistic": statistic, "unit": "nats per row", "is_alarm": False, "rows": 600}
    return {**EMPTY, **common, "window_start": NIGHT, "dt": NIGHT, **values}


def judged(findings: Findings, *rows: dict, **run) -> Findings:
    return replace(findings, drift=rows, run={**findings.run, "verdict": rows[0]["verdict"], **run})


def kept(reason: str = NOT_FULL, **values) -> dict:
    return row("gain", "window", verdict="keep", reason=reason, **values)


def test_a_run_that_judged_nothing_says_nothing_of_change(world):
    words = Words(render_report(world.warehouse, RUN, model=world.model)).words
    assert "Has anything changed?" not in words
    assert "What became of the segments" not in words


def test_a_window_that_is_not_full_is_a_sentence_and_no_figure(quiet):
    change = change_of(judged(quiet, kept(), row("gain", value=0.002, threshold=0.004)))
    assert story.verdict_words(change) == f"Too early to tell: {NOT_FULL}."
    assert change.window is None
    assert change.is_ordinary
    assert "Tonight alone is ordinary" in story.night_words(change)


def test_parts_of_the_last_nights_that_alarm_are_told(quiet):
    told = "the mean part of the last 3 nights' gain of 0.2 nats per row is over 0.1, what is ordinary"
    recent = row("gain", "recent", part="mean", value=0.2, threshold=0.1, is_alarm=True, reason=told)
    tonight = row("gain", value=0.002, threshold=0.004)
    findings = judged(quiet, kept(), tonight, recent, row("gain", "recent", part="weight", value=0.1, threshold=0.2))
    change = change_of(findings)
    assert not change.is_ordinary
    assert change.night is not None
    assert change.night.value == 0.002
    assert f"T{told[1:]}. That is an alarm, and decides nothing." in story.night_words(change)
    assert "an alarm was raised by the last nights together" in sentences(findings)[2]
    assert any(told[1:] in note for note in notes(findings))


def test_before_a_verdict_what_moved_is_that_of_the_nights_that_alarm(quiet):
    """The last nights together where they alarm, and else tonight alone."""
    tonight = [row("gain", value=0.002), row("gain", segment_id=1, part="weight", value=0.002)]
    recent = [
        row("gain", "recent", part="mean", value=0.2, threshold=0.1, is_alarm=True, reason="it moved"),
        row("gain", "recent", segment_id=2, part="mean", value=0.2),
    ]
    for rows, scope, moved in ((tonight, "night", 1), ([*tonight, *recent], "recent", 2)):
        change = change_of(judged(quiet, kept(), *rows))
        assert (change.moved_in, [move.segment_id for move in change.moves]) == (scope, [moved])


def test_the_page_tells_verdict_alarms_challenger_and_names(large_world, drifted):
    page = render_report(large_world.warehouse, RUN, model=large_world.model, alignment=made_up_alignment(12))
    words = Words(page).words
    assert "The verdict is warm-start, a retraining from the champion: retraining would gain 0.00412" in words
    assert f"A challenger, retrained from the champion, won, and is the champion now. {GATE_REASON}." in words
    assert "−12.3333 (+0.0123)" in words
    assert f"The means of {LONG_NAMES[0][:15]}" in words
    assert "came in another unit, 0.305 times what it was." in words
    assert "What became of the segments" in words
    assert 'id="figure-gain"' in page
    assert 'id="figure-flow"' in page


def test_the_opening_tells_of_the_training_and_of_what_raised_an_alarm(drifted):
    told = sentences(drifted)
    assert len(told) == 3
    assert "retrained from the one before" in told[1]
    assert "because the data has moved, and beats the one before by 0.0123 nats per row" in told[1]
    assert "alarms were raised by the night as a whole, number_of_support" in told[2]


@pytest.mark.parametrize(
    ("challenger", "told", "done"),
    [
        (None, "a new training is called for", "Nothing was trained: the settings only announce it."),
        ("lost", "but a new training tonight brought nothing better", "did not win, and the champion was kept"),
    ],
)
def test_a_verdict_that_changed_no_champion_says_so(quiet, challenger, told, done):
    decided = row("gain", "window", verdict="refit", reason="it moved", value=0.9, threshold=0.1, is_alarm=True)
    reason = "Verdict refit: it moved." + (" On 9 held-out rows it is no better." if challenger else "")
    found = judged(quiet, decided, challenger_id=challenger, training_rows=None, reason=reason)
    assert told in sentences(found)[1]
    assert done in story.challenge_words(change_of(found).challenge)
    assert len(story.model_rows(change_of(found).challenge, found)) == (2 if challenger else 0)


def test_only_the_segments_that_moved_most_are_told_and_the_others_together(drifted):
    change = change_of(drifted)
    rows = story.move_rows(change, drifted)
    assert [one.segment_id for one in rows] == [1, 2, 3, 4, 5, None]
    assert rows[-1].label == "7 others"
    parts = {part: sum(getattr(move, part) for move in change.moves) for part in ("weight", "mean", "covariance")}
    assert rows[0].total == f"{4e-3 / sum(parts.values()):.0%}"


def test_alarms_come_first_then_the_nearest_of_other_columns(quiet):
    tests = [
        row("psi", feature="far", value=0.1, reference=0.0, threshold=1.0),
        row("psi", feature="near", value=0.9, reference=0.0, threshold=1.0),
        row("ks", feature="near", value=0.8, reference=0.0, threshold=1.0),
        row(
            "null_rate",
            feature="bad",
            unit="share",
            value=0.5,
            reference=0.1,
            threshold=0.2,
            is_alarm=True,
            reason="gone",
        ),
        row("psi", feature="bad", value=0.9, reference=0.0, threshold=1.0),
        row("row_count", unit="rows", value=900.0, reference=1000.0, threshold=500.0),
        row("psi", feature="unknown", value=0.9, reference=0.0),
    ]
    told = story.test_rows(change_of(judged(quiet, kept(), *tests)))
    assert [(one.column, one.what, one.is_alarm) for one in told] == [
        ("bad", "missing cells", True),
        ("near", "distribution (PSI)", False),
        ("the night", "number of rows", False),
        ("far", "distribution (PSI)", False),
    ]
    assert (told[0].value, told[0].usual, told[0].limit, told[0].told) == ("50.0%", "10.0%", "20.0%", "Gone.")
    assert told[2].told == "No alarm: 20% of the way to the limit."


@given(alarms=st.integers(min_value=0, max_value=25))
def test_however_many_alarms_there_are_a_reader_is_told_of_few_and_of_how_many_more(quiet, alarms):
    bad = [
        row("psi", feature=f"c{n}", value=2.0, reference=0.0, threshold=1.0, is_alarm=True, reason=f"c{n}")
        for n in range(alarms)
    ]
    found = judged(quiet, kept(), *bad)
    change = change_of(found)
    shown = sum(one.is_alarm for one in story.test_rows(change))
    assert shown + story.alarms_left(change) == alarms
    assert shown <= 10
    assert len([note for note in notes(found) if note.startswith("C")]) == min(alarms, 3)
    assert ("raised by" in sentences(found)[2]) == (alarms > 0)


def test_a_gain_is_drawn_as_a_multiple_of_what_is_ordinary(drifted):
    (bars,) = gain_figure(change_of(drifted)).data
    assert list(bars.x) == pytest.approx([0.00412 / 0.0019, 0.021 / 0.0093])


def test_the_caption_says_that_a_bar_is_a_multiple_of_its_own_limit(large_world):
    page = render_report(large_world.warehouse, RUN)
    (caption,) = re.findall(r'figure-gain".*?<figcaption>(.*?)</figcaption>', page, re.DOTALL)
    assert "Each bar is drawn as a multiple of its own limit" in " ".join(caption.split())


def random_alignment(seed: int, n_old: int, n_new: int) -> Alignment:
    rng = np.random.default_rng(seed)
    old, new = (rng.dirichlet(np.full(k, 0.1), 60).T for k in (n_old, n_new))
    return align(old, new, list(range(1, n_old + 1)), greatest_id=n_old)


@given(seed=st.integers(0, 10_000), n_old=st.integers(1, 7), n_new=st.integers(1, 7))
def test_every_birth_and_death_is_told_and_every_segment_is_drawn(quiet, seed, n_old, n_new):
    alignment = random_alignment(seed, n_old, n_new)
    words = succession_words(alignment, quiet)
    for old in alignment.ended:
        told = [kind_of(told) for told in words[1:] if story_name(old, quiet) in names_in(told)]
        assert told == ["Gone"] or (told and "Gone" not in told)
    born = [one.segment_id for one in alignment.descents if one.origin == "born"]
    assert [told.split(",")[0] for told in words if told.startswith("New:")] == [f"New: number {one}" for one in born]
    assert sum(told.startswith("Split:") for told in words) <= len(alignment.splits)
    assert sum(told.startswith("Merged:") for told in words) <= len(alignment.merges)
    link = flow_figure(alignment, quiet).data[0].link
    held = {*np.flatnonzero(alignment.flow.sum(axis=1)), *(n_old + np.flatnonzero(alignment.flow.sum(axis=0)))}
    assert {*link.source, *link.target} == held
    assert all(left < n_old <= right for left, right in zip(link.source, link.target, strict=True))
    assert 0.9 < sum(link.value) <= 1 + 1e-12


def kind_of(told: str) -> str:
    return told.partition(":")[0]


def names_in(told: str) -> set[str]:
    """The segments of before that a line is about, the segments of now that it names left out."""
    body = told.partition(": ")[2]
    about = {"Gone": body.partition(";")[0], "Split": body.partition(" became ")[0]}
    about |= {"Merged": body.partition(" took in ")[2]}
    return set(re.findall(r"number \d+|\d+ “[^”]*”", about.get(kind_of(told), "")))


LINKS = st.frozensets(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=14)


@given(links=LINKS)
def test_every_link_of_splits_and_merges_is_told_and_no_line_only_repeats_others(links):
    """Links are who gave whom a large part; each belongs to a split, to a merge, or to both."""
    sides = [(kind, at, [link for link in sorted(links) if link[at] == one]) for kind, at, one in LINES]
    events = [Event(told=f"{kind} {own}", links=frozenset(own)) for kind, _, own in sides if len(own) > 1]
    told = told_once(events)
    assert told == [event for event in events if event in told]
    assert union(told) == union(events)
    assert all(not event.links <= union(other for other in told if other != event) for event in told)


LINES = [(kind, at, one) for at, kind in enumerate(("split", "merge")) for one in range(1, 6)]


def union(events) -> set[tuple[int, int]]:
    return {link for event in events for link in event.links}


def test_four_segments_that_exchange_halves_are_told_in_four_lines(quiet):
    """Each of four old ones went by halves into two of four new ones, none of which is one of them."""
    old = np.eye(4)[np.repeat(np.arange(4), 20)].T
    new = np.eye(4)[np.concatenate([np.repeat([one, (one + 1) % 4], 10) for one in range(4)])].T
    alignment = align(old, new, [11, 12, 13, 14], greatest_id=14)
    assert (len(alignment.splits), len(alignment.merges), len(alignment.ended)) == (4, 4, 4)
    assert [kind_of(told) for told in succession_words(alignment, quiet)[1:]] == ["Split"] * 4


def test_a_merge_is_told_where_it_says_more_than_the_splits(quiet):
    """Number 12 went by halves into two new ones, to which 11 and 13 came whole: two merges tell all of it."""
    old = np.eye(3)[np.repeat([0, 1, 2], [20, 60, 20])].T
    new = np.eye(2)[np.repeat([0, 1], 50)].T
    alignment = align(old, new, [11, 12, 13], greatest_id=13)
    assert alignment.splits == {12: (14, 15)}
    told = succession_words(alignment, quiet)[1:]
    assert told == [
        "Merged: number 14 took in number 11 and number 12.",
        "Merged: number 15 took in number 12 and number 13.",
    ]


def story_name(segment_id: int, findings: Findings) -> str:
    name = findings.name(segment_id)
    return f"{segment_id} “{name}”" if name else f"number {segment_id}"


def test_names_of_segments_that_are_gone_are_still_told_and_never_markup(quiet):
    alignment = align(np.array([[1.0, 0], [0, 1.0]]), np.array([[1.0, 1.0]]), [1, 8], greatest_id=8)
    known = replace(quiet, names={8: ATTACK})
    assert any("Gone: 8 “" in told or "8 “" in told for told in succession_words(alignment, known))
    assert "<" not in "".join(flow_figure(alignment, known).data[0].node.label)

"""The page: what it says, what it must never contain, and how it is written."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gmmdask.errors import InvalidInputError, StorageError
from gmmdask.report import render_report, write_page
from gmmdask.report.reading import read_findings
from gmmdask.report.story import notes, sentences
from tests.report.worlds import LONG_NAMES, RUN, Wish, made_up_model, publish

ATTACK = "</script><script>alert(1)</script><img src=http://example.org onerror=alert(2)>"


class Words(HTMLParser):
    """The text of a page and the attributes and names of its elements, scripts and styles left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.skipping = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.skipping = tag in ("script", "style")

    def handle_endtag(self, tag):
        self.skipping = False

    def handle_data(self, data):
        if not self.skipping:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def page(world):
    return render_report(world.warehouse, RUN, model=world.model, sample=world.rows)


def test_the_story_is_three_sentences_with_the_numbers_of_the_run(page, world):
    story = re.search(r'<section class="story">.*?</section>', page, re.DOTALL)[0]
    told = re.findall(r"<p>(.*?)</p>", story)
    assert len(told) == 3
    assert all(sentence.count(". ") == 0 and sentence.endswith(".") for sentence in told)
    assert told[0].startswith("600 rows of 29 February 2024 were read, and 593 of them (98.8%)")
    assert "7 because a value is missing" in told[0]
    assert f"{(world.scores.probability >= 0.9).mean():.1%}" in told[2]


def test_a_name_stands_where_a_number_would_and_the_sentence_quotes_it(page):
    words = Words(page).words
    assert "Night owls" in words
    assert "Segment 1" not in words
    assert "Segment 2" in words


def test_nothing_is_loaded_from_elsewhere(page):
    elements = Words(page).elements
    linked = [(tag, name) for tag, given in elements for name in given if name in ("src", "href", "srcset", "data")]
    assert linked == []
    policy = next(given["content"] for tag, given in elements if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert page.count("plotly.js v") == 1, "the library is there once"


def test_the_same_run_gives_the_same_page(page, world):
    assert render_report(world.warehouse, RUN, model=world.model, sample=world.rows) == page


def test_names_from_data_are_text_and_never_markup(tmp_path):
    world = publish(tmp_path, Wish(names=[ATTACK, f"{ATTACK} again"], feature_names=[ATTACK], n_rows=200))
    page = render_report(world.warehouse, RUN, model=world.model, sample=world.rows, units={ATTACK: ATTACK})
    assert ATTACK not in page
    assert "<script>alert" not in page
    assert not any(tag == "img" for tag, _ in Words(page).elements)
    assert ATTACK in Words(page).words


def test_what_is_to_know_of_the_columns_is_told_where_there_is_something(tmp_path, page):
    assert "What to know of the columns" not in Words(page).words
    world = publish(tmp_path, Wish(warnings=[ATTACK, "Told twice: b (repeats a, up to its unit)."], n_rows=200))
    told = render_report(world.warehouse, RUN)
    assert ATTACK not in told
    assert f"{ATTACK} Told twice: b (repeats a, up to its unit)." in Words(told).words


def test_without_a_model_the_map_alone_is_missing(world):
    page = render_report(world.warehouse, RUN)
    assert "figure-map" not in page
    assert "figure-profile" in page


def test_another_model_is_refused(world):
    other = made_up_model(Wish(n_segments=5))
    with pytest.raises(InvalidInputError, match="pass model"):
        render_report(world.warehouse, RUN, model=other)


def test_units_stand_with_their_features(world):
    feature = world.model.recipe.features[0]
    assert "(kg/m²)" in Words(render_report(world.warehouse, RUN, units={feature: "kg/m²"})).words


def test_long_names_and_markup_in_them_are_all_told_in_full(large_world):
    words = Words(render_report(large_world.warehouse, RUN)).words
    assert all(name in words for name in LONG_NAMES)
    assert all(feature in words.replace("_ ", "_") for feature in large_world.model.recipe.features)


def test_a_run_without_a_single_scored_row_has_a_report(tmp_path):
    world = publish(tmp_path, Wish(n_rows=5, holes=5, threshold=-1.0, has_grid=False))
    words = Words(render_report(world.warehouse, RUN, model=world.model)).words
    told = "No row could be given a segment: 5 rows of 29 February 2024 were read; left out were 5 because a value is missing."
    assert f"What happened {told} The model" in words
    assert words.count("No row could be given") == 1
    assert "An ellipse holds about half of a segment" in words


def test_a_night_of_which_no_row_has_a_segment_says_so_first_and_tells_of_no_share(world):
    findings = read_findings(world.warehouse, RUN)
    before = tuple(replace(one, size=0, share=0.0, earlier_share=0.3) for one in findings.segments)
    run = {**findings.run, "rows_ok": 0, "rows_missing": 0, "rows_unseen": 600}
    found = replace(findings, segments=before, run=run)
    first, model = sentences(found)
    assert first.startswith("No row could be given a segment: 600 rows")
    assert first.endswith("; left out were 600 because a category is new.")
    assert model.startswith("The model")
    assert not any("share" in note or "No row" in note for note in notes(found))
    none_read = replace(found, run={**run, "rows_unseen": 0, "rows_total": 0})
    assert sentences(none_read)[0] == "No row could be given a segment: 0 rows of 29 February 2024 were read."


def test_a_report_that_cannot_be_written_is_an_error_and_leaves_nothing_behind(tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("not a folder")
    (folder / "inner").mkdir(parents=True)
    for blocked in (file / "report.html", folder):
        with pytest.raises(StorageError, match=RUN):
            write_page("a page", str(blocked), f"the report of run {RUN}")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_a_report_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "new folder" / "report.html"
    for page in ("old", "new ü"):
        write_page(page, str(path), "the report")
    assert path.read_text(encoding="utf-8") == "new ü"
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize(("rows", "told"), [(300, 0), (30_000, 1)])
def test_a_share_that_moved_is_noted_only_where_chance_does_not_explain_it(world, rows, told):
    findings = read_findings(world.warehouse, RUN)
    first = replace(findings.segments[0], share=0.3, earlier_share=0.27)
    moved = replace(findings, segments=(first, *findings.segments[1:]), run={**findings.run, "rows_ok": rows})
    assert sum("“Night owls” is 30.0%, against 27.0%" in note for note in notes(moved)) == told


def test_the_template_says_which_night_it_was(page):
    assert date(2024, 2, 29).strftime("Night of %-d %B %Y") in Words(page).words
    assert Path(__file__).name not in page

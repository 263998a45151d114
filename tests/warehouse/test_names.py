"""Names of segments: what may be one, that no two are alike, and that they follow their ids into every run."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import InvalidInputError, UnknownNameError
from gmmdask.warehouse import open_staging
from gmmdask.warehouse.duckdb_file import DuckDBFile
from gmmdask.warehouse.names import LONGEST_NAME, checked_name
from tests.warehouse.examples import DAY, NOON, contents, publication, stage

NEXT = DAY + timedelta(days=1)


@given(st.text())
def test_a_name_is_kept_as_one_visible_line_or_refused(text):
    """Equality with the words of the text; keeping it twice changes nothing."""
    try:
        kept = checked_name(text)
    except InvalidInputError:
        return
    assert kept.split(" ") == unicodedata.normalize("NFC", text).split()
    assert kept.isprintable() or set(kept) & set("\u200c\u200d")
    assert len(kept) <= LONGEST_NAME
    assert checked_name(kept) == kept


@given(st.text(st.characters(categories=["Lu", "Ll", "Nd", "Po", "Sm"]), min_size=1, max_size=30))
def test_letters_digits_and_signs_of_any_script_make_a_name(text):
    assert checked_name(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("\u200d", "is empty"),
        ("a\nb", r"U\+000A"),
        ("a\tb", r"U\+0009"),
        ("a\x1b[31mb", r"U\+001B"),
        ("left\u202eright", r"U\+202E"),
        ("\udcff", r"U\+DCFF"),
        ("x" * (LONGEST_NAME + 1), f"{LONGEST_NAME + 1} characters, and {LONGEST_NAME} are the most"),
    ],
)
def test_what_cannot_be_read_is_no_name(name, told):
    with pytest.raises(InvalidInputError, match=told):
        checked_name(name)


@pytest.fixture
def warehouse(tmp_path):
    warehouse = DuckDBFile(path=str(tmp_path / "w.duckdb"), now=lambda: NOON)
    warehouse.publish(stage(open_staging(str(tmp_path)), [publication()], {DAY: ["a"]}).load())
    return warehouse


def names(warehouse) -> list[tuple[str, int, str | None]]:
    return sorted((row["run_id"], row["segment_id"], row["name"]) for row in contents(warehouse)["segments"])


def test_two_segments_never_share_a_name(warehouse):
    """Neither written otherwise, nor as an unnamed one is called."""
    warehouse.name_segment("flights", 0, "Short hops")
    before = names(warehouse)
    for name, other in (("Short hops", 0), ("SHORT  HOPS ", 0), ("segment 0", 0)):
        if name == "segment 0":
            warehouse.name_segment("flights", 0, None)
            before = names(warehouse)
        with pytest.raises(InvalidInputError, match=f"segment {other} of 'flights' is called"):
            warehouse.name_segment("flights", 1, name)
        assert names(warehouse) == before


def test_a_segment_may_be_given_its_own_name_again_or_another_spelling_of_it(warehouse):
    for name in ("short hops", "short hops", "Short Hops"):
        warehouse.name_segment("flights", 0, name)
        assert names(warehouse) == [("run-1", 0, name), ("run-1", 1, None)]


def test_an_unknown_segment_is_refused_with_those_that_there_are(warehouse):
    with pytest.raises(UnknownNameError, match="has no segment 7; it has 0, 1"):
        warehouse.name_segment("flights", 7, "x")
    with pytest.raises(UnknownNameError, match="nothing of it was published"):
        warehouse.name_segment("ships", 0, "x")


def test_a_run_that_was_staged_before_a_name_was_given_has_it_once_published(warehouse, tmp_path):
    waiting = stage(open_staging(str(tmp_path)), [publication(NEXT, run_id="run-2")], {NEXT: ["b"]}).load()
    warehouse.name_segment("flights", 0, "short hops")
    warehouse.name_segment("flights", 1, "old name")
    warehouse.name_segment("flights", 1, "new name")
    warehouse.publish(waiting)
    assert names(warehouse)[2:] == [("run-2", 0, "short hops"), ("run-2", 1, "new name")]
    shown = {(row["id"], row["segment_name"]) for row in contents(warehouse)["current_assignments"]}
    assert shown == {("a", "short hops"), ("b", "short hops")}

"""Reports in a real browser: every figure draws, nothing sticks out, nothing is asked of the network."""

from __future__ import annotations

import numpy as np
import pytest

from gmmdask.report import render_report
from tests.report.browser import ABSENT, CHROMIUM, render
from tests.report.worlds import RUN, Wish, made_up_alignment, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=ABSENT)

FIGURES = ("profile", "map", "certainty", "grid", "density")


def assert_sound(found, figures=FIGURES):
    assert set(found.marks) == {f"figure-{name}" for name in figures}
    assert all(found.marks.values()), found.marks
    assert found.trouble == ""
    assert found.overflow == 0


def test_a_page_with_twelve_segments_thirty_features_and_long_names_draws_and_fits(large_world, tmp_path):
    alignment = made_up_alignment(12)
    page = render_report(
        large_world.warehouse, RUN, model=large_world.model, sample=large_world.rows, alignment=alignment
    )
    found = render(page, tmp_path / "page.png")
    assert_sound(found, (*FIGURES, "gain", "flow"))
    assert found.marks["figure-flow"] == np.count_nonzero(alignment.flow), "no flow is too small to be seen"
    assert found.marks["figure-map"] == 24, "an ellipse and the rows of every segment"
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "page.png").stat().st_size > 100_000


@pytest.mark.parametrize(
    "wish",
    [
        Wish(n_features=1, n_segments=1, n_rows=100),
        Wish(n_features=2, n_segments=14, n_rows=300, names=["<b>bold</b> & more"]),
    ],
    ids=["one segment in one feature", "fourteen segments in two features"],
)
def test_small_and_odd_shapes_draw_on_a_narrow_screen(wish, tmp_path):
    world = publish(tmp_path, wish)
    page = render_report(world.warehouse, RUN, model=world.model)
    assert_sound(render(page, width=520))


def test_a_page_that_asks_for_something_is_noticed(world):
    page = render_report(world.warehouse, RUN).replace("</main>", '<img src="https://example.org/a.png"></main>')
    assert "example.org" in render(page).trouble

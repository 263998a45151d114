"""Progress: lines in a log, bars on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from gmmdask.progress import PlainLines, shown_progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_written_when_a_stage_begins_and_ends_and_now_and_then_between():
    lines: list[str] = []
    clock = Clock()
    report = PlainLines(lines.append, clock)
    for done in range(11):
        report("score", done, 10, "")
        clock.now += 1
    report("publish", 0, 1, "3 dates")
    told = [line[20:] for line in lines]  # behind date and time
    assert told == ["score: 0 of 10", "score: 5 of 10", "score: 10 of 10", "publish: 0 of 1 (3 dates)"]


def test_in_a_log_lines_are_plain():
    written = io.StringIO()
    with shown_progress(Console(file=written, force_terminal=False)) as report:
        report("pass 0", 1, 2, "[bold]365 partitions")
    assert written.getvalue().endswith("pass 0: 1 of 2 ([bold]365 partitions)\n")
    assert "\x1b" not in written.getvalue()


def test_on_a_terminal_every_stage_has_a_bar():
    written = io.StringIO()
    with shown_progress(Console(file=written, force_terminal=True, width=100)) as report:
        report("pass 0", 1, 1, "")
        report("score", 1, 2, "")
    assert "pass 0" in written.getvalue()
    assert "1/2" in written.getvalue()
    assert "\x1b" in written.getvalue()


def test_a_remark_is_a_line_of_its_own_in_a_log_and_is_never_left_out():
    lines: list[str] = []
    report = PlainLines(lines.append, Clock())
    report("pass 0", 1, 1, "")
    for remark in ("a is constant", "b repeats a"):
        report("before fitting", 0, 0, remark)
    assert [line[20:] for line in lines[1:]] == ["before fitting: a is constant", "before fitting: b repeats a"]


def test_remarks_are_a_list_above_the_bars_of_a_terminal():
    written = io.StringIO()
    with shown_progress(Console(file=written, force_terminal=True, width=100, color_system=None)) as report:
        report("pass 0", 1, 1, "")
        for remark in ("[bold]a is constant", "b repeats a"):
            report("before fitting", 0, 0, remark)
    lines = [line.strip() for line in written.getvalue().split("\n")]
    places = [
        next(i for i, line in enumerate(lines) if line.endswith(told))
        for told in ("Before fitting", "- [bold]a is constant", "- b repeats a")
    ]
    assert places == list(range(places[0], places[0] + 3))

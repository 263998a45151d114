"""A month of nights with everything that happens to a lake, against a model of a few lines that knows only the rules."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pytest

from gmmdask.errors import WarehouseBusyError
from gmmdask.nightly import Night, rescore_dates, run_night
from gmmdask.settings import load_settings
from tests.nightly.lakes import birds, day, files_below, write_day, write_settings
from tests.nightly.test_night import no_engine, rows

ROWS = 60


class StopError(BaseException):
    """A night ends here."""


def stop_at(point: str):
    def stop(name: str) -> None:
        if name == point:
            raise StopError

    return stop


@dataclass
class Rules:
    """What readers should see, by the rules alone: dates with the number of their rows and the champion that labelled them."""

    shown: dict[date, tuple[int, str]] = field(default_factory=dict)
    champions: list[tuple[date, str]] = field(default_factory=list)

    def before(self, dt: date) -> str:
        """The champion in force before a date; up to the first night, that night's."""
        return [name for since, name in self.champions if since < dt or since == self.champions[0][0]][-1]

    def night(self, dt: date, sizes: dict[date, int], champion: str | None = None) -> None:
        labelled = [dt] if self.champions else [other for other in sizes if other <= dt]
        name = champion or self.before(dt)
        self.champions.append((dt, name))
        for one in labelled:
            self.shown[one] = (sizes[one], name)

    def repeat(self, dt: date, sizes: dict[date, int]) -> None:
        self.shown[dt] = (sizes[dt], self.before(dt))

    def rescore(self, dt: date, sizes: dict[date, int]) -> None:
        self.shown[dt] = (sizes[dt], self.champions[-1][1])


class Month:
    """A lake, its warehouse and the rules, side by side."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = write_settings(root, {"n_components = [1, 2, 3]": "n_components = [2]\nmax_passes = 2"})
        self.settings = load_settings(path)
        self.sizes: dict[date, int] = {}
        self.rules = Rules()
        self.names: dict[str, str] = {}

    def write(self, number: int, n: int = ROWS) -> Path:
        self.sizes[day(number)] = n
        path = write_day(self.root, number, birds(number, n))
        os.utime(path, (1_700_000_000 + n, 1_700_000_000 + n))  # the same content has the same fingerprint
        return path

    def run(self, number: int | None = None, **options) -> Night:
        return run_night(self.settings, None if number is None else day(number), **options)

    def check(self) -> None:
        """Compare what the views show with the rules."""
        found = rows(self.settings, "(SELECT dt, model_id, count(*) AS n FROM current_assignments GROUP BY ALL)")
        champion = rows(self.settings, "champion")[0]["champion_id"]
        self.names.setdefault(self.rules.champions[-1][1], champion)
        expected = [(dt, self.names[name], n) for dt, (n, name) in sorted(self.rules.shown.items())]
        assert [(row["dt"], row["model_id"], row["n"]) for row in found] == expected
        assert champion == self.names[self.rules.champions[-1][1]]
        assert len(set(self.names.values())) == len(self.names)
        waiting = [path for path in files_below(self.root) if ".work/staging/" in path]
        assert waiting == []


@pytest.mark.timeout(600)
def test_a_month_of_nights_shows_what_the_rules_say(tmp_path):
    """Rows, model and champion of every date after every step."""
    month = Month(tmp_path)
    rules = month.rules

    for number in range(5):
        month.write(number)
    month.run()
    rules.night(day(4), month.sizes, "A")
    month.check()

    for number in (5, 6, 8):  # the seventh is missing
        month.write(number)
        assert month.run().plan.overdue == ()
        rules.night(day(number), month.sizes)
        month.check()

    month.write(7)
    month.write(9)
    late = month.run()
    assert late.plan.overdue == (day(7),)
    rules.night(day(9), month.sizes)
    rules.repeat(day(7), month.sizes)
    month.check()

    month.write(10)
    assert month.run(refit=True).plan.action == "refit"
    rules.night(day(10), month.sizes, "B")
    month.check()
    assert month.run(refit=True, engines=no_engine).plan.state == "published"
    assert month.run(engines=no_engine).plan.state == "published"
    month.check()

    for number in (2, 6):  # before the first night, and after it
        month.write(number, ROWS + 10)
    month.write(11)
    month.run()
    rules.night(day(11), month.sizes)
    for number in (2, 6):
        rules.repeat(day(number), month.sizes)
    month.check()

    month.write(12)
    with duckdb.connect(
        month.settings.warehouse.uri,
        read_only=True,
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False},
    ):
        with pytest.raises(WarehouseBusyError):
            month.run()
        with pytest.raises(WarehouseBusyError):
            month.run(engines=no_engine)
    assert month.run(engines=no_engine).release is not None
    rules.night(day(12), month.sizes)
    month.check()

    month.write(6)  # the files as they first were, whose run is published but no longer shown
    month.run()
    rules.repeat(day(6), month.sizes)
    month.check()
    assert month.run(engines=no_engine).repeats == ()

    rescore_dates(month.settings, day(3), day(7))
    for number in range(3, 8):
        rules.rescore(day(number), month.sizes)
    month.check()
    assert rescore_dates(month.settings, day(3), day(7), engines=no_engine).plan.state == "published"
    month.check()

    month.write(13)
    for point in ("planned", "scored", "staged", "table publications", "committed"):
        with pytest.raises(StopError):
            month.run(at=stop_at(point))
    month.run()
    rules.night(day(13), month.sizes)
    month.check()

    for number in range(14, 21):  # six nights did not run
        month.write(number)
    missed = month.run()
    assert missed.plan.overdue == tuple(day(number) for number in range(14, 20))
    rules.night(day(20), month.sizes)
    for number in range(14, 20):
        rules.repeat(day(number), month.sizes)
    month.check()

    month.write(21)
    month.run(refit=True)
    rules.night(day(21), month.sizes, "C")
    month.check()
    month.write(21, ROWS + 5)  # its own files, rewritten: it makes its champion again
    assert month.run().plan.action == "refit"
    rules.night(day(21), month.sizes, "D")
    month.check()

    month.write(9, ROWS + 1)
    month.write(20, ROWS + 1)
    month.write(22)
    month.run()
    rules.night(day(22), month.sizes)
    rules.repeat(day(9), month.sizes)
    rules.repeat(day(20), month.sizes)
    month.check()

    assert month.run(5).plan.kind == "repeat"
    month.check()
    assert month.run(40, engines=no_engine).plan.state == "nothing new"
    for number in range(23, 30):
        month.write(number)
        month.run()
        rules.night(day(number), month.sizes)
    month.check()

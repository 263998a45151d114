"""What a night says of its own cost: there, plausible, and never in its way."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from io import StringIO

import psutil
import pytest
from rich.console import Console

from gmmdask.nightly import cost, metered, run_night
from gmmdask.nightly.summary import print_night
from tests.nightly.lakes import write_world

TOUCH = "import sys; held = bytearray(200_000_000); print(len(held), flush=True); sys.stdin.read()"


def test_a_night_tells_its_time_and_memory_in_the_summary_and_the_log(tmp_path, caplog):
    settings = write_world(tmp_path, days=1)
    began = time.perf_counter()
    with caplog.at_level(logging.INFO, "gmmdask"):
        night = run_night(settings)
    took = time.perf_counter() - began
    assert night.cost is not None
    assert 0.9 * took < night.cost.seconds <= took
    now = psutil.Process().memory_info().rss
    assert 0.5 * now < night.cost.peak_bytes < psutil.virtual_memory().total
    page = StringIO()
    print_night(night, settings, Console(file=page, width=200))
    assert f"all of it {night.cost}." in page.getvalue()
    assert any(str(night.cost) in record.message for record in caplog.records)


def test_the_memory_of_processes_below_counts_while_they_are_there():
    with metered("alone") as alone:
        pass
    with subprocess.Popen([sys.executable, "-c", TOUCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline()
        with metered("with a child") as together:
            pass
        child.communicate()
    assert together.cost.processes > alone.cost.processes
    assert together.cost.peak_bytes - alone.cost.peak_bytes > 180_000_000


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError("no /proc")])
def test_a_system_that_tells_nothing_costs_no_night(monkeypatch, error):
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(psutil, "Process", refuse)
    with metered("unseen") as meter:
        pass
    assert str(meter.cost) == f"took {meter.cost.seconds:.1f} s"


class Hurry:
    """An event that is waited for a hundred times without waiting."""

    waits = 0

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        return self.waits == 100


def test_looking_takes_little_of_a_processors_time():
    """In CPU time of this process: the looks of ten seconds."""
    meter = cost.Meter()
    meter.stop()
    meter._stopped = Hurry()
    began = time.process_time()
    meter._look_on()
    assert time.process_time() - began < 0.05 * 100 * cost.SECONDS_BETWEEN_LOOKS


def test_the_cost_is_told_when_the_block_fails_too(caplog):
    with caplog.at_level(logging.INFO, "gmmdask"), pytest.raises(KeyError), metered("a night"):
        raise KeyError
    assert [record.message for record in caplog.records if "a night" in record.message]

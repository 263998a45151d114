"""Run by test_faults.py in a process of its own: publishes, and dies or runs out of disk on the way.

The process opens no warehouse itself; every accident happens in a fork of it, which costs no second start of Python.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gmmdask.errors import WarehouseError
from gmmdask.warehouse.duckdb_file import DuckDBFile
from gmmdask.warehouse.release import Release
from gmmdask.warehouse.staging import open_staging
from tests.warehouse.examples import NOON


def die_at(point: str) -> Callable[[str], None]:
    """Return a function that kills this process at a named point, as a lost machine would."""

    def at(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def in_a_fork(act: Callable[[], int]) -> int:
    """Run in a fork and return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        os._exit(act())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def publish_and_die(warehouse: str, release: Release, point: str) -> int:
    """Publish up to a point; 1 if the point was never reached."""
    DuckDBFile(path=warehouse, now=lambda: NOON).publish(release, at=die_at(point))
    return 1


def publish_on_a_full_disk(warehouse: str, release: Release, limit: int) -> int:
    """Publish where no file can grow beyond a limit in bytes; 3 if that is told as an error of ours."""
    path = Path(warehouse)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        DuckDBFile(path=warehouse, now=lambda: NOON).publish(release)
    except WarehouseError as error:
        path.with_suffix(".message").write_text(str(error))
        return 3
    return 0


def main() -> None:
    """Read {"root", "run", "accidents": [[point or limit, warehouse]]} from stdin and write the exit codes to stdout."""
    task = json.load(sys.stdin)
    attempt = open_staging(task["root"]).complete(task["run"])
    assert attempt is not None
    release = attempt.load()
    codes = []
    for point, warehouse in task["accidents"]:
        if isinstance(point, int):
            act = partial(publish_on_a_full_disk, warehouse, release, point)
        else:
            act = partial(publish_and_die, warehouse, release, point)
        codes.append(in_a_fork(act))
    json.dump(codes, sys.stdout)


if __name__ == "__main__":
    main()

"""Nights that end at a named point by a signal nobody can catch, or whose disk is full; run in processes of their own.

Importing this module imports all that a night needs, so that a process forked from one that did starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sklearn.cluster  # noqa: F401  (which a night that trains loads late)

from gmmdask.cli import app
from gmmdask.engine import Engine, LocalEngine
from gmmdask.nightly import Night, open_engine, run_night
from gmmdask.settings import Cluster, load_settings

Point = tuple[str, int]
"""Name of a point, and which time it is passed, from 1."""

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.nightly.warm"])


class Passing:
    """Counts the points as they are passed, and calls `then` at one of them."""

    def __init__(self, last: Point | None = None, then: Callable[[], None] = list) -> None:
        self.points: list[Point] = []
        self.last, self.then = last, then

    def __call__(self, name: str) -> None:
        self.points.append((name, 1 + sum(known == name for known, _ in self.points)))
        if self.points[-1] == self.last:
            self.then()


class TellingEngine(LocalEngine):
    """The serial engine, which also passes a point after every staged partition."""

    def __init__(self, at: Callable[[str], None]) -> None:
        super().__init__(1)
        self.at = at

    def map(
        self, source: Any, function: Callable[..., Any], arguments: tuple[Any, ...] = (), *, name: str
    ) -> list[Any]:
        def told(*given: Any) -> Any:
            result = function(*given)
            self.at("partition staged")
            return result

        return super().map(source, told, arguments, name=name)


def pass_points(settings_file: Path, at: Passing, *, refit: bool) -> Night:
    """Run a night that tells of every point."""

    @contextmanager
    def engines(cluster: Cluster) -> Iterator[Engine]:
        if cluster.address is None:
            yield TellingEngine(at)
        else:
            with open_engine(cluster) as engine:
                yield engine

    return run_night(load_settings(settings_file), refit=refit, engines=engines, at=at)


def killed_at(settings_file: Path, point: Point, *, refit: bool = False) -> int | None:
    """Run a night in a process of its own that is killed at a point, and return its exit code."""
    victim = FORKING.Process(target=_die, args=(settings_file, point, refit))
    victim.start()
    victim.join()
    return victim.exitcode


def _die(settings_file: Path, point: Point, refit: bool) -> None:
    pass_points(settings_file, Passing(point, lambda: os.kill(os.getpid(), signal.SIGKILL)), refit=refit)


def on_a_full_disk(settings_file: Path, limit: int, *options: str) -> tuple[int | None, str]:
    """Run the command where no file can grow beyond a limit in bytes; return its exit code and what it said on stderr."""
    ours, theirs = FORKING.Pipe(duplex=False)
    victim = FORKING.Process(target=_without_space, args=(settings_file, limit, options, theirs))
    victim.start()
    theirs.close()
    with open(ours.fileno(), encoding="utf-8", closefd=False) as told:
        said = told.read()
    victim.join()
    ours.close()
    return victim.exitcode, said


def _without_space(settings_file: Path, limit: int, options: tuple[str, ...], stderr: Any) -> None:
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    app(["nightly", str(settings_file), *options])

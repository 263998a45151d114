"""Paired measurements: contestants take turns in one process, so what disturbs one disturbs its rival too.

Spreads and ratios of repeats live here; what is measured does not.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from threadpoolctl import threadpool_limits

Measure = Callable[[], float]
"""Does the work once and returns the seconds that it took."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeats of one figure, in the order in which they were measured."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Middle of the repeats."""
        return statistics.median(self.values)

    def over(self, other: Spread) -> Spread:
        """Return the ratios of paired repeats."""
        return Spread(tuple(own / theirs for own, theirs in zip(self.values, other.values, strict=True)))

    def scaled(self, factor: float) -> Spread:
        """Return the same repeats in another unit."""
        return Spread(tuple(factor * value for value in self.values))

    def inverse(self, factor: float) -> Spread:
        """Return factor / value: amounts per second out of seconds."""
        return Spread(tuple(factor / value for value in self.values))

    def minus(self, other: Spread) -> Spread:
        """Return the differences of paired repeats."""
        return Spread(tuple(own - theirs for own, theirs in zip(self.values, other.values, strict=True)))

    def __str__(self) -> str:
        """Return the median and, in brackets, the smallest and the largest."""
        shown = [_digits(value) for value in (self.median, min(self.values), max(self.values))]
        return f"{shown[0]} ({shown[1]}–{shown[2]})"


def _digits(value: float) -> str:
    """Return about three significant digits, never in powers of ten."""
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{places}f}"


def timed(work: Callable[[], Any]) -> Measure:
    """Return a measurement of the wall time of some work."""

    def measure() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return measure


def interleaved(contestants: Mapping[str, Measure], repeats: int) -> dict[str, Spread]:
    """Let the contestants take turns: one unmeasured round to warm up, then `repeats` rounds."""
    for measure in contestants.values():
        measure()
    rounds = [{name: measure() for name, measure in contestants.items()} for _ in range(repeats)]
    return {name: Spread(tuple(one[name] for one in rounds)) for name in contestants}


@contextmanager
def one_thread() -> Iterator[None]:
    """Give every native pool a single thread."""
    with threadpool_limits(limits=1):
        yield


@contextmanager
def one_processor() -> Iterator[None]:
    """Give one thread to every pool, also to those that ask how many processors there are."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with one_thread():
            yield
    finally:
        os.sched_setaffinity(0, allowed)


def memory_bytes() -> tuple[int, int]:
    """Return the present and the largest resident set of this process."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    return now, peak

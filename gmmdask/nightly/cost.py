"""What a night costs: how long it took, and how much memory its processes held together. Watches; decides nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

SECONDS_BETWEEN_LOOKS = 0.1
LOOKS_AT_A_FAMILY = 10
"""To find new processes means to go through all of the machine's: not at every look."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What was spent on something.

    Parameters
    ----------
    seconds : float
        Of wall time.
    peak_bytes : int
        The largest sum of the resident sets of this process and all below it at one time, the workers of a local
        cluster included; what processes share counts for each. 0 where it could not be seen.
    processes : int
        How many these were then.
    """

    seconds: float
    peak_bytes: int
    processes: int

    def __str__(self) -> str:
        """Return the cost as the end of a sentence: "took 54.1 s and at most ..."."""
        told = f"took {self.seconds:.1f} s"
        if self.peak_bytes:
            several = f" in {self.processes} processes together" if self.processes > 1 else ""
            told += f" and at most {self.peak_bytes / 2**30:.2f} GiB of memory{several}"
        return told


class Meter:
    """Looks at the memory of this process and those below it, from a thread of its own, until it is stopped."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._ended: float | None = None
        self._stopped = threading.Event()
        self._peak = (0, 0)
        self._thread = threading.Thread(target=self._look_on, name="gmmdask-meter", daemon=True)
        self._thread.start()

    @property
    def cost(self) -> Cost:
        """What was spent until now, or until it was stopped."""
        ended = time.perf_counter() if self._ended is None else self._ended
        return Cost(seconds=ended - self._began, peak_bytes=self._peak[0], processes=self._peak[1])

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join()
        self._ended = time.perf_counter()

    def _look_on(self) -> None:
        # What the system does not tell is not told either; it must not cost a night.
        with suppress(psutil.Error, OSError):
            own, looks = psutil.Process(), 0
            family = [own]
            while True:
                if looks % LOOKS_AT_A_FAMILY == 0:
                    family = [own, *own.children(recursive=True)]
                sizes = [size for one in family if (size := _resident(one))]
                self._peak = max(self._peak, (sum(sizes), len(sizes)))
                looks += 1
                if self._stopped.wait(SECONDS_BETWEEN_LOOKS):
                    return


@contextmanager
def metered(what: str) -> Iterator[Meter]:
    """Measure the cost of a block, and log it however the block ends.

    Parameters
    ----------
    what : str
        The beginning of the logged sentence.
    """
    meter = Meter()
    try:
        yield meter
    finally:
        meter.stop()
        logger.info("%s (process %d) %s", what, os.getpid(), meter.cost)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.Error, OSError):  # it has ended
        return 0

"""Native thread pools: BLAS and OpenMP run one thread wherever numbers are made, so that no bit depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and OpenMP run one thread in this block.

    The loaded libraries are looked up anew each time, which takes milliseconds: one that came since must not escape.
    """
    with threadpool_limits(limits=1):
        yield


def single_threaded_workers(threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads run BLAS and OpenMP with one thread each; use it within `one_thread`.

    BLAS keeps its number for the process, OpenMP one for each thread: a limit set by the caller would not reach them.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix="gmmdask", initializer=threadpool_limits, initargs=(1,))

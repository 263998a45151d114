"""Native thread pools: BLAS and OpenMP run one thread wherever numbers are made, so that no bit depends on them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS and OpenMP run one thread; the limit is the whole process's.

    The loaded libraries are looked up anew each time, which takes milliseconds: one that came since must not escape.
    """
    return threadpool_limits(limits=1)

"""How much memory decoded leaves would take, and how much there is. Only counts; reserves and frees nothing."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from gmmdask.source import Source

HELD_SHARE = 0.5
"""The share of the memory that decoded leaves may take; the rest is for decoding, kernels and summaries."""

logger = logging.getLogger("gmmdask.engine")


def projected_bytes(source: Source) -> int | None:
    """Return the size of all decoded features in bytes, or None if a partition's size is not known beforehand."""
    row_bytes = 8 * max(1, len(source.features))
    total = 0
    for partition in source.partitions:
        if partition.nbytes is not None:
            total += partition.nbytes
        elif partition.rows is not None:
            total += row_bytes * partition.rows
        else:
            return None
    return total


def machine_bytes() -> int:
    """Return the memory that this process may use: that of the machine, or less if a control group says so."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return physical
    return min(physical, int(allowed)) if allowed.isdigit() else physical


def fits_in_memory(source: Source, available: int, where: str) -> bool:
    """Decide whether to hold a source's decoded leaves in memory, and log the figures behind it."""
    projected = projected_bytes(source)
    if projected is None:
        logger.info("Every pass reads the data again: the size of a partition is not known before it is read.")
        return False
    fits = projected <= HELD_SHARE * available
    logger.info(
        "%s: the decoded features take %s, and %s of %s on %s may hold them.",
        "Data stay in memory" if fits else "Every pass reads the data again",
        readable_bytes(projected),
        readable_bytes(int(HELD_SHARE * available)),
        readable_bytes(available),
        where,
    )
    return fits


def readable_bytes(count: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> readable_bytes(1_500_000)
    '1.5 MB'
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"

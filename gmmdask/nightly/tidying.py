"""Removes what no reader sees any more: superseded labels, and what killed runs left in staging. Publishes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gmmdask.nightly.plan import staging_of, utc_now, warehouse_of
from gmmdask.settings import Settings

ABANDONED_AFTER = timedelta(days=1)
"""An attempt that nothing was written to for so long belongs to no running process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tidied:
    """What went: rows of `assignments`, and attempts in staging."""

    rows: int
    attempts: int


def tidy(
    settings: Settings, abandoned_after: timedelta = ABANDONED_AFTER, *, now: Callable[[], datetime] = utc_now
) -> Tidied:
    """Remove labels that no view shows any more, and attempts whose process was killed. Runs and models stay.

    A staged run that waits for the warehouse is complete and stays too: the next night publishes it.

    Parameters
    ----------
    settings : Settings
    abandoned_after : timedelta
        How long nothing was written to an incomplete attempt before it counts as abandoned.
    now : callable
        Where the time comes from.

    Raises
    ------
    WarehouseBusyError
        Another process holds the warehouse open; nothing was removed.
    StorageError, WarehouseError
        Staging or warehouse cannot be reached.
    """
    rows = warehouse_of(settings).remove_superseded()
    staging = staging_of(settings)
    abandoned = staging.abandoned(now() - abandoned_after)
    for attempt in abandoned:
        staging.discard(attempt)
    return Tidied(rows=rows, attempts=len(abandoned))

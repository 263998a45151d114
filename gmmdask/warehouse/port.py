"""What the rest of gmmdask asks of a warehouse, whichever database it is. Contract only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, Protocol

import pyarrow as pa

from gmmdask.warehouse.release import Release


def pass_by(point: str) -> None:
    """Do nothing at a named point; tests pass a function that stops there."""


class Queries(Protocol):
    """What answers queries."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the result of a query that changes nothing; parameters are written `$name`.

        Raises
        ------
        WarehouseError
            Nothing was published here yet, or the query fails.
        """
        ...


class Warehouse(Queries, Protocol):
    """Tables and views of `gmmdask.warehouse.tables` and `.views`, published to and read from.

    An object holds settings only: every call opens what it needs and leaves nothing open; `query` does so each time.
    """

    def publish(self, release: Release, *, at: Callable[[str], None] = pass_by) -> bool:
        """Make everything of a release visible at once, and return whether that was still to be done.

        A run that is published already is left alone.

        Parameters
        ----------
        release : Release
            What to publish.
        at : callable
            Called with the name of every point at which a crash must do no harm.

        Raises
        ------
        InvalidInputError
            Ids are missing or repeated within a date, rows belong to dates that are not published, or a night or another
            change of champion was published since a change of champion was planned.
        WarehouseBusyError
            Others kept the warehouse open for longer than the timeout; nothing was written.
        WarehouseError
            The warehouse cannot be opened or written to; nothing was written.
        """
        ...

    def check(self, release: Release) -> None:
        """Refuse staged events whose ids other dates have published; `publish` looks again.

        Raises
        ------
        InvalidInputError
            Names dates and ids.
        WarehouseBusyError
            Others kept the warehouse open for longer than the timeout.
        """
        ...

    def remove_superseded(self) -> int:
        """Remove assignments that no view shows any more, and return how many went."""
        ...

    def name_segment(self, segmentation: str, segment_id: int, name: str | None) -> None:
        """Give a segment a name, in every run that has it; None takes it away.

        A name stays with its id: runs that are published later have it too, those that were staged before it was given
        included, because names enter a run as it is published.

        Raises
        ------
        UnknownNameError
            The segmentation never had such a segment.
        InvalidInputError
            The name is empty, too long, holds invisible characters, or is that of another segment.
        WarehouseBusyError
            Others kept the warehouse open for longer than the timeout; nothing was written.
        """
        ...

    def champion_before(self, segmentation: str, dt: date) -> str | None:
        """Return the model in force before a date, or None where there was none yet."""
        ...

    def published_run(self, run_key: str) -> str | None:
        """Return the run that was published under a run key, or None."""
        ...

    def reading(self) -> AbstractContextManager[Queries]:
        """Keep the warehouse open for reading during a block, so that many questions cost one opening.

        Nobody, this process included, can publish meanwhile, so all of them see one state. A warehouse that does not
        exist yet is no error here: the first query says so.

        Raises
        ------
        WarehouseError
            The warehouse cannot be opened.
        """
        ...

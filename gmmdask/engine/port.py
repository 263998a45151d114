"""What every engine promises: the port that training, scoring and monitoring are written against.

An engine decides where and when leaves are read and summarised. It must not decide what is added to what: that is
fixed by the tree in `gmmdask.engine.tree`, so the same source gives the same bytes on every engine.
`gmmdask.engine.conformance` checks an implementation. No engine lives here, and nothing here starts any work.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

from gmmdask.source import Source


class Summary(Protocol):
    """A small, picklable value that stands for some leaves and can be combined with that of the leaves after them."""

    def combine(self, other: Self, /) -> Self:
        """Return the summary of the leaves of both, leaving both operands untouched."""
        ...


S = TypeVar("S", bound=Summary)
R = TypeVar("R")


class HeldData(Protocol):
    """A source opened for several passes; its decoded leaves stay in memory where they fit."""

    @property
    def in_memory(self) -> bool:
        """Whether later passes find the decoded leaves in memory; if not, every pass reads them again."""
        ...

    def map_reduce(self, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str) -> S:
        """Summarise every leaf and combine the summaries: see `Engine.map_reduce`."""
        ...


class Engine(Protocol):
    """Runs pure functions over the leaves of a source."""

    def map_reduce(
        self, source: Source, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str
    ) -> S:
        """Summarise every leaf once and combine the summaries in the order of the tree.

        Parameters
        ----------
        source : Source
            The data; read once, never held.
        summarize : callable
            ``summarize(leaf, *arguments) -> Summary``: pure and, like everything it returns, picklable.
        arguments : tuple
            Small picklable values, the same for every leaf: the parameters.
        name : str
            What this pass is called in errors, logs and on the dashboard: "fit-3".

        Returns
        -------
        Summary
            The same bytes on every engine, for any number of workers and threads.

        Raises
        ------
        EmptyDataError
            The source has no leaf at all.
        GmmdaskError
            Reading or summarising failed; the message names the partition. An error of gmmdask's own keeps its class,
            any other failure to read is an UnreadablePartitionError, lost machines are a ClusterError.
        """
        ...

    def map(self, source: Source, function: Callable[..., R], arguments: tuple[Any, ...] = (), *, name: str) -> list[R]:
        """Apply a function to every partition and return the results in the order of the partitions.

        Parameters
        ----------
        source : Source
            The data; read once, never held.
        function : callable
            ``function(partition, leaves, *arguments)`` with the partition's position and an iterator over its leaves.
            It may run again after a machine was lost, so what it writes must replace what an earlier attempt wrote.
        arguments : tuple
            Small picklable values, the same for every partition.
        name : str
            What this pass is called in errors, logs and on the dashboard.

        Returns
        -------
        list
            One small picklable result per partition; partitions without rows are included.

        Raises
        ------
        GmmdaskError
            As for `map_reduce`.
        """
        ...

    def hold(self, source: Source) -> AbstractContextManager[HeldData]:
        """Open a source for several passes, keeping its decoded leaves in memory where they are known to fit.

        Examples
        --------
        >>> from gmmdask.engine import LocalEngine
        >>> from gmmdask.engine.witness import MemorySource, witness
        >>> with LocalEngine().hold(MemorySource.of([[2], [1, 1]])) as data:
        ...     [data.map_reduce(witness, name=f"doctest-{iteration}").shape for iteration in range(2)]
        ['(0.0 (1.0 1.1))', '(0.0 (1.0 1.1))']
        """
        ...

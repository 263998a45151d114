"""Summaries kept apart by date, from one pass: the tree combines every date before it combines dates.

This is itself a summary, so every engine can make it. Nothing here knows an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from gmmdask.engine.port import S
from gmmdask.engine.tree import pairwise
from gmmdask.source import Leaf, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryByDate(Generic[S]):
    """One summary for every date that has leaves.

    Parameters
    ----------
    summaries : mapping of str to Summary
        The dates, in the order of the source.
    """

    summaries: Mapping[str, S]

    def combine(self, other: SummaryByDate[S], /) -> SummaryByDate[S]:
        """Return the summaries of the dates of both, combining those of a date that both have."""
        merged = dict(self.summaries)
        for date, summary in other.summaries.items():
            merged[date] = merged[date].combine(summary) if date in merged else summary
        return SummaryByDate(summaries=merged)

    def total(self, source: Source) -> S | None:
        """Return the summary of all dates, with the bytes that a pass without dates over the source would give."""
        dates = dict.fromkeys(partition.date for partition in source.partitions)
        return pairwise(self.summaries.get(date) for date in dates)


def by_date(
    source: Source, summarize: Callable[..., S], arguments: tuple[Any, ...] = ()
) -> tuple[Callable[..., SummaryByDate[S]], tuple[Any, ...]]:
    """Return the function and the arguments that make a pass keep dates apart.

    Examples
    --------
    >>> from gmmdask.engine import LocalEngine
    >>> from gmmdask.engine.witness import SOURCES, witness
    >>> source = SOURCES["three dates"]
    >>> result = LocalEngine().map_reduce(source, *by_date(source, witness), name="dates")
    >>> {date: summary.rows for date, summary in result.summaries.items()}
    {'2013-01-01': 18, '2013-01-02': 42, '2013-01-03': 6}
    """
    dates = tuple(partition.date for partition in source.partitions)
    return _summarize_by_date, (dates, summarize, arguments)


def _summarize_by_date(
    leaf: Leaf, dates: tuple[str, ...], summarize: Callable[..., S], arguments: tuple[Any, ...]
) -> SummaryByDate[S]:
    return SummaryByDate(summaries={dates[leaf.partition]: summarize(leaf, *arguments)})

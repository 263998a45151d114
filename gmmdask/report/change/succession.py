"""What became of the segments of one model in the next, in words: born, gone, split, merged, kept; each event once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gmmdask.mixture.alignment import Alignment
from gmmdask.report.findings import Findings
from gmmdask.report.wording import listed, percent, plural, shortened

LONGEST_NAME = 60
NOTABLE_PART = 0.1
"""Share of a segment's rows from which on it is told where they went or came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A split or a merge: which segment of before gave a large part to which one of now.

    Parameters
    ----------
    told : str
    links : set of (int, int)
        Id before, id now.
    """

    told: str
    links: frozenset[tuple[int, int]]


def succession_words(alignment: Alignment, findings: Findings) -> list[str]:
    """Return what became of the segments, a sentence each; first how many are still who they were."""
    kept = sum(descent.origin == "kept" for descent in alignment.descents)
    told = f"{kept} of {plural(len(alignment.old_ids), 'segment')} kept their ids"
    if kept == len(alignment.old_ids):
        told = f"All {plural(kept, 'segment')} kept their ids" if kept > 1 else "The only segment kept its id"
    least = min((d.overlap for d in alignment.descents if d.origin == "kept" and d.overlap is not None), default=None)
    told += f", sharing at least {percent(least)} of their rows with who they were" if least is not None else ""
    events = told_once([*_splits(alignment, findings), *_merges(alignment, findings)])
    return [
        f"{told}.",
        *(event.told for event in events),
        *_births(alignment, findings),
        *_deaths(alignment, findings),
    ]


def told_once(events: Sequence[Event]) -> list[Event]:
    """Return as few of the events as tell every link, in order: that which tells most is taken first.

    A greedy cover of a set (Chvátal 1979), less what those taken later made superfluous. Of equals the first is taken.
    """
    left, taken, known = list(events), list[Event](), frozenset[tuple[int, int]]()
    while left:
        best = max(left, key=lambda event: len(event.links - known))
        if best.links <= known:
            break
        left.remove(best)
        taken.append(best)
        known |= best.links
    for event in tuple(taken):
        others = frozenset[tuple[int, int]]().union(*(other.links for other in taken if other is not event))
        if event.links <= others:
            taken.remove(event)
    return [event for event in events if event in taken]


def called(segment_id: int, findings: Findings) -> str:
    """Return a segment with its id, as it is told apart where both old and new ones are spoken of."""
    name = findings.name(segment_id)
    return f"{segment_id} “{shortened(name, LONGEST_NAME)}”" if name else f"number {segment_id}"


def _splits(alignment: Alignment, findings: Findings) -> Iterator[Event]:
    for old, parts in alignment.splits.items():
        told = f"Split: {called(old, findings)} became {listed([called(one, findings) for one in parts])}."
        yield Event(told=told, links=frozenset((old, new) for new in parts))


def _merges(alignment: Alignment, findings: Findings) -> Iterator[Event]:
    for new, parts in alignment.merges.items():
        told = f"Merged: {called(new, findings)} took in {listed([called(one, findings) for one in parts])}."
        yield Event(told=told, links=frozenset((old, new) for old in parts))


def _births(alignment: Alignment, findings: Findings) -> Iterator[str]:
    whole, arrivals = alignment.flow.sum(), alignment.flow.sum(axis=0)
    for column, descent in enumerate(alignment.descents):
        if descent.origin == "born":
            came = _parts(alignment.flow[:, column] / max(arrivals[column], 1e-300), alignment.old_ids, findings)
            size = percent(float(arrivals[column] / whole))
            told = f", its rows mostly from {came}" if came else ""
            yield f"New: {called(descent.segment_id, findings)}, with {size} of all rows{told}."


def _deaths(alignment: Alignment, findings: Findings) -> Iterator[str]:
    departures = alignment.departures
    died = [old for old, fate in zip(alignment.old_ids, alignment.fates, strict=True) if fate == "died"]
    for old in died:
        went = _parts(departures[alignment.old_ids.index(old)], alignment.segment_ids, findings)
        told = f"; its rows went mostly to {went}" if went else ""
        yield f"Gone: {called(old, findings)}{told}."


def _parts(shares: np.ndarray, ids: tuple[int, ...], findings: Findings) -> str:
    largest = [at for at in np.argsort(-shares, kind="stable")[:3].tolist() if shares[at] >= NOTABLE_PART]
    return listed([f"{called(ids[at], findings)} ({percent(float(shares[at]))})" for at in largest])

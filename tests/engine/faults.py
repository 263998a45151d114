"""Sources and functions that fail at a named point; importable on workers."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gmmdask.engine.witness import MemorySource, Witness, witness
from gmmdask.source import Leaf

READS: Counter[int] = Counter()
"""How often each partition was read, in this process."""
SUMMARIES: Counter[int] = Counter()
"""How many leaves of each partition were summarised, in this process."""


def die_once(marker: str) -> None:
    """Kill this process the first time that any process gets here."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True, slots=True)
class DyingSource(MemorySource):
    """A source that kills its reader once, between two leaves of partition 3."""

    marker: str

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        for leaf in MemorySource.read(self, partition, first, stop):
            if partition == 3 and leaf.index == 1:
                die_once(self.marker)
            yield leaf


def dying_witness(leaf: Leaf, marker: str) -> Witness:
    if (leaf.partition, leaf.index) == (3, 1):
        die_once(marker)
    return witness(leaf)


@dataclass(frozen=True, kw_only=True, slots=True)
class DyingWitness(Witness):
    """A witness that kills its process once, on being combined with what begins with leaf 3.2."""

    marker: str

    def combine(self, other: Witness, /) -> DyingWitness:
        if other.shape.startswith("(3.2"):
            die_once(self.marker)
        plain = Witness.combine(self, other)
        return DyingWitness(
            shape=plain.shape, rows=plain.rows, total=plain.total, scale=plain.scale, marker=self.marker
        )


def witness_that_dies_combining(leaf: Leaf, marker: str) -> DyingWitness:
    plain = witness(leaf)
    return DyingWitness(shape=plain.shape, rows=plain.rows, total=plain.total, scale=plain.scale, marker=marker)


def always_dying(leaf: Leaf) -> Witness:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(f"survived at {leaf.partition}.{leaf.index}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CountingSource(MemorySource):
    """A source that counts how often each partition is read."""

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        READS[partition] += 1
        yield from MemorySource.read(self, partition, first, stop)


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedSource(MemorySource):
    """A source that notes how many of its leaves are alive at a time."""

    alive: list[weakref.ref[Any]] = field(default_factory=list)
    most: list[int] = field(default_factory=list)

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        for leaf in MemorySource.read(self, partition, first, stop):
            self.alive.append(weakref.ref(leaf.values))
            self.most.append(sum(reference() is not None for reference in list(self.alive)))
            yield leaf


def counting_witness(leaf: Leaf) -> Witness:
    SUMMARIES[leaf.partition] += 1
    return witness(leaf)


def interrupting_witness(leaf: Leaf) -> Witness:
    """Press Ctrl-C, so to speak, at the fifth partition."""
    SUMMARIES[leaf.partition] += 1
    if leaf.partition == 5:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    return witness(leaf)


def touch_and_die_once(partition: int, leaves: Iterator[Leaf], folder: str, marker: str) -> str:
    """Write a staged file as scoring does, and die once in between."""
    rows = sum(leaf.n_rows for leaf in leaves)
    path = Path(folder) / f"{partition}.txt"
    path.write_text("half")
    if partition == 3:
        die_once(marker)
    path.write_text(str(rows))
    return path.name

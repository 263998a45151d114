"""A source without its held-out rows, and these alone: one in twenty, by a hash of the seed and the row's id.

The choice follows the id alone, so a row stays held out whichever file or date it is in, whatever else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.lake.fingerprint import digest
from gmmdask.lake.lake import Lake
from gmmdask.preparation.codes import texts_of_ids
from gmmdask.source import Leaf, Partition

HELD_OUT_ONE_IN = 20
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The rows of a lake that a fit may see: the held-out ones are absent, which equals a weight of zero.

    Partitions, leaves and `Leaf.start` are those of the lake, so `Partition.rows` counts the rows read, not those kept.

    Parameters
    ----------
    lake : Lake
    id_column : str
    seed : int
    """

    lake: Lake
    id_column: str
    seed: int

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the lake's features."""
        return self.lake.features

    @property
    def partitions(self) -> Sequence[Partition]:
        """The lake's partitions."""
        return self.lake.partitions

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the lake, the id column and the seed."""
        return digest("training rows", self.lake.fingerprint, self.id_column, str(self.seed))

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves of a partition without their held-out rows; raises what the lake raises."""
        for leaf in self._identified.read(partition, first, stop):
            ids = texts_of_ids(leaf.carried[self.id_column], self.id_column)
            yield _filtered(leaf, self._kept(ids), self.lake.carried)

    def _kept(self, ids: Any) -> NDArray[np.bool_]:
        return ~held_out(ids, self.seed)

    @cached_property
    def _identified(self) -> Lake:
        return self.lake.carry(self.id_column)


@dataclass(frozen=True, kw_only=True)
class HeldOutRows(TrainingRows):
    """The rows of a lake that no fit may see: what models are compared on; else as `TrainingRows`."""

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the lake, the id column and the seed."""
        return digest("held-out rows", self.lake.fingerprint, self.id_column, str(self.seed))

    def _kept(self, ids: Any) -> NDArray[np.bool_]:
        return held_out(ids, self.seed)


def held_out(ids: Any, seed: int) -> NDArray[np.bool_]:
    """Return which rows are held out: those with hash64(seed, id) mod 20 = 0; a row without an id is not.

    The hash of an id is that of the seed plus Σ (byte_i + 1)·g^(i+1) over its text in UTF-8, with g = 2^64 divided by
    the golden ratio, mixed by the finaliser of SplitMix64 (Steele, Lea & Flood 2014); all modulo 2^64.

    Parameters
    ----------
    ids : pyarrow.Array or pyarrow.ChunkedArray
        Of any type that has a text form.
    seed : int
    """
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    text = whole.cast(pa.large_string())
    digested = blake2b(f"held out:{seed}".encode(), digest_size=8).digest()
    keys = _mixed(_text_sums(text) + np.uint64(int.from_bytes(digested, "little")))
    present: NDArray[np.bool_] = np.asarray(text.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    return np.asarray((keys % np.uint64(HELD_OUT_ONE_IN) == 0) & present)


def _text_sums(text: Any) -> NDArray[np.uint64]:
    """Return a polynomial of the bytes of each text, modulo 2^64; differences of a running sum are exact there."""
    _, offsets_buffer, data_buffer = text.buffers()
    if not len(text) or data_buffer is None:
        return np.zeros(len(text), dtype=np.uint64)
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]].astype(np.uint64)
    lengths = np.diff(offsets)
    positions = np.arange(len(data)) - np.repeat(offsets[:-1] - offsets[0], lengths)
    powers = np.cumprod(np.full(max(int(lengths.max(initial=0)), 1), MULTIPLIER, dtype=np.uint64))
    running = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum((data + np.uint64(1)) * powers[positions])])
    return np.asarray(running[offsets[1:] - offsets[0]] - running[offsets[:-1] - offsets[0]], dtype=np.uint64)


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _filtered(leaf: Leaf, kept: NDArray[np.bool_], carried: Sequence[str]) -> Leaf:
    mask = pa.array(kept)
    return replace(
        leaf,
        values=np.ascontiguousarray(leaf.values[:, kept]),
        weights=None if leaf.weights is None else leaf.weights[kept],
        carried={name: leaf.carried[name].filter(mask) for name in carried},
    )

"""A seeded uniform sample over the rows of a source, the same for any order of combining.

Every row gets a 64-bit key from the seed, its partition's name and its number in the partition; the sample is the
rows with the smallest keys. It is therefore random over rows however the data are sorted, and two samples of
different rows combine into the sample of both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmmdask.source import Leaf

RESERVOIR_ROWS = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Reservoir:
    """The rows of smallest key among those seen.

    Parameters
    ----------
    capacity : int
        Largest number of rows kept.
    keys : ndarray of shape (n_rows,), uint64
    positions : ndarray of shape (2, n_rows), int64
        Partition and row within the partition.
    values : ndarray of shape (n_features, n_rows), float64
    weights : ndarray of shape (n_rows,), float64
    """

    capacity: int
    keys: NDArray[np.uint64]
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def n_rows(self) -> int:
        """Number of rows kept."""
        return len(self.keys)

    def combine(self, other: Reservoir) -> Reservoir:
        """Return the sample of the rows of both."""
        keys = np.concatenate([self.keys, other.keys])
        if len(keys) <= self.capacity:
            return _joined(self, other, keys)
        # Only rows that stay are gathered: the largest key that does says which, for keys are as good as distinct.
        largest = np.partition(keys, self.capacity - 1)[self.capacity - 1]
        return _joined(self._up_to(largest), other._up_to(largest), keys[keys <= largest])

    def _up_to(self, largest: np.uint64) -> Reservoir:
        """Return the rows whose keys are not beyond `largest`."""
        return self._rows(np.flatnonzero(self.keys <= largest))

    def _rows(self, rows: NDArray[np.intp]) -> Reservoir:
        return Reservoir(
            capacity=self.capacity,
            keys=self.keys[rows],
            positions=self.positions[:, rows],
            values=self.values.take(rows, axis=1),
            weights=self.weights[rows],
        )

    def ordered(self) -> Reservoir:
        """Return the same rows in the order of the data."""
        return self._rows(np.lexsort((self.positions[1], self.positions[0])))

    def shuffled(self) -> NDArray[np.intp]:
        """Return the rows in the order of their keys: a seeded random permutation."""
        return np.argsort(self.keys, kind="stable")


def _joined(first: Reservoir, second: Reservoir, keys: NDArray[np.uint64]) -> Reservoir:
    return Reservoir(
        capacity=first.capacity,
        keys=keys,
        positions=np.concatenate([first.positions, second.positions], axis=1),
        values=np.concatenate([first.values, second.values], axis=1),
        weights=np.concatenate([first.weights, second.weights]),
    )


def row_keys(seed: int, partition: str, first: int, n_rows: int) -> NDArray[np.uint64]:
    """Return the 64-bit keys of consecutive rows of a partition.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014) over a counter that starts at a hash of seed and partition.
    """
    digest = hashlib.blake2b(f"{seed}:{partition}".encode(), digest_size=8).digest()
    with np.errstate(over="ignore"):
        z = np.arange(first, first + n_rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(int.from_bytes(digest, "little"))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def reservoir_of(leaf: Leaf, partition: str, seed: int, capacity: int, kept: NDArray[np.bool_]) -> Reservoir:
    """Return the sample of the rows `kept` of one leaf."""
    keys = row_keys(seed, partition, leaf.start, leaf.n_rows)
    rows = np.flatnonzero(kept)
    if len(rows) > capacity:
        rows = np.sort(rows[np.argpartition(keys[rows], capacity - 1)[:capacity]])
    weights = np.ones(leaf.n_rows) if leaf.weights is None else leaf.weights
    positions = np.stack([np.full(len(rows), leaf.partition, dtype=np.int64), leaf.start + rows.astype(np.int64)])
    values = leaf.values.take(rows, axis=1).astype(np.float64, copy=False)
    return Reservoir(capacity=capacity, keys=keys[rows], positions=positions, values=values, weights=weights[rows])

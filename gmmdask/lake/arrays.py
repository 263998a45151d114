"""A NumPy array in memory as a source of one partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.lake.finite import require_weights
from gmmdask.source import Leaf, Partition, leaf_spans


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ArraySource:
    """Rows of an array. Made by `ArraySource.of`; the array is neither copied nor to be changed afterwards.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features), float64 or float32
        Row-major as scikit-learn has it; each leaf is transposed when it is read. NaN is missing.
    features : tuple of str
        Names of the columns.
    weights : ndarray of shape (n_rows,), float64, optional
        Row weights.
    """

    values: NDArray[Any]
    features: tuple[str, ...]
    weights: NDArray[np.float64] | None = None
    # Hashing the content for every partition list would cost as much as predicting: a token that no other source has
    # keeps the promise to change whenever the content may have.
    _token: str = field(default_factory=lambda: uuid4().hex)

    @classmethod
    def of(
        cls, values: ArrayLike, weights: ArrayLike | None = None, features: Sequence[str] | None = None
    ) -> ArraySource:
        """Make a source of anything that NumPy reads as a matrix of numbers.

        Parameters
        ----------
        values : array-like of shape (n_rows, n_features)
            float32 stays float32; all other numbers become float64.
        weights : array-like of shape (n_rows,), optional
            Finite and at least zero.
        features : sequence of str, optional
            Names of the columns; by default x0, x1, ...

        Raises
        ------
        InvalidInputError
            The values are not a matrix of real numbers, or names or weights do not fit them.
        """
        matrix = _matrix(values)
        names = tuple(features) if features is not None else tuple(f"x{number}" for number in range(matrix.shape[1]))
        if len(names) != matrix.shape[1] or len(set(names)) != len(names):
            raise InvalidInputError(f"{matrix.shape[1]} columns need as many different names, not {list(names)}")
        return cls(values=matrix, features=names, weights=_weights(weights, len(matrix)))

    def __repr__(self) -> str:
        return f"ArraySource({self.values.shape[0]} rows, features={list(self.features)})"

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """One partition of one row group."""
        rows = (len(self.values),)
        return (Partition(name="array", fingerprint=self._token, group_rows=rows, nbytes=self.values.nbytes),)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of content, shape, type and names; equal for equal data in any process."""
        hashed = blake2b(digest_size=16)
        hashed.update(repr((self.values.shape, self.values.dtype.str, self.features, self.weights is None)).encode())
        for _, start, stop in leaf_spans([len(self.values)]):
            hashed.update(np.ascontiguousarray(self.values[start:stop]).data)
        if self.weights is not None:
            hashed.update(np.ascontiguousarray(self.weights).data)
        return hashed.hexdigest()

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves `first` to `stop` (exclusive; None: to the last) of the only partition, in order."""
        spans = leaf_spans([len(self.values)])
        for index in range(first, len(spans) if stop is None else min(stop, len(spans))):
            _, start, end = spans[index]
            weights = None if self.weights is None else self.weights[start:end]
            values = np.ascontiguousarray(self.values[start:end].T)
            yield Leaf(partition=partition, index=index, start=start, values=values, weights=weights)


def _matrix(values: ArrayLike) -> NDArray[Any]:
    try:
        matrix = np.asarray(values)
        if np.iscomplexobj(matrix):
            raise ValueError("complex numbers")
        kept = matrix.dtype if matrix.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        matrix = matrix.astype(np.float32 if matrix.dtype == np.float16 else kept, copy=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"the values are not real numbers ({error}); encode or leave out other columns"
        ) from error
    if matrix.ndim != 2:
        raise InvalidInputError(
            f"the values have {matrix.ndim} dimensions, shape {matrix.shape}; give (rows, features)"
        )
    return matrix


def _weights(weights: ArrayLike | None, rows: int) -> NDArray[np.float64] | None:
    if weights is None:
        return None
    vector = np.asarray(weights, dtype=np.float64)
    if vector.shape != (rows,):
        raise InvalidInputError(f"weights of shape {vector.shape} do not fit {rows} rows; give one number per row")
    require_weights(vector, "the weights")
    return vector

"""An array as a source: the same numbers, transposed leaf by leaf."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import gmmdask.source
from gmmdask.errors import InvalidInputError
from gmmdask.lake import ArraySource


@given(
    rows=st.integers(0, 12),
    features=st.integers(1, 3),
    leaf_rows=st.integers(1, 15),
    dtype=st.sampled_from([np.float64, np.float32, np.int16]),
    order=st.sampled_from(["C", "F"]),
)
def test_leaves_put_together_are_the_array(rows: int, features: int, leaf_rows: int, dtype: Any, order: Any) -> None:
    values = np.array(np.arange(rows * features).reshape(rows, features), dtype=dtype, order=order)
    weights = np.arange(rows, dtype=np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gmmdask.source, "LEAF_ROWS", leaf_rows)
        source = ArraySource.of(values, weights)
        leaves = list(source.read(0))
        assert len(leaves) == source.partitions[0].n_leaves == -(-rows // leaf_rows)
        assert source.partitions[0].rows == rows
        assert [leaf.index for leaf in source.read(0, 1, 2)] == list(range(len(leaves)))[1:2]
    assert [leaf.start for leaf in leaves] == list(range(0, rows, leaf_rows))
    assert all(leaf.values.flags.c_contiguous for leaf in leaves)
    expected = values if dtype == np.float32 else values.astype(np.float64)
    read = np.concatenate([np.empty((features, 0), expected.dtype), *(leaf.values for leaf in leaves)], axis=1)
    np.testing.assert_array_equal(read, expected.T)
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(np.concatenate([np.empty(0), *_weights_of(leaves)]), weights)


def test_no_copy_of_the_array_is_made() -> None:
    values = np.zeros((10, 2))
    assert ArraySource.of(values).values is values


def test_the_fingerprint_is_of_the_content_and_not_of_the_object() -> None:
    values = np.arange(6.0).reshape(3, 2)
    first = ArraySource.of(values)
    assert first.fingerprint == ArraySource.of(np.asfortranarray(values)).fingerprint
    changed = values.copy()
    changed[2, 1] += 1e-15 * changed[2, 1]
    others = [
        ArraySource.of(changed),
        ArraySource.of(values.reshape(2, 3)),
        ArraySource.of(values.astype(np.float32)),
        ArraySource.of(values, features=["a", "b"]),
        ArraySource.of(values, weights=np.ones(3)),
        ArraySource.of(values, weights=np.zeros(3)),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_a_pickled_array_source_is_the_same_source() -> None:
    source = ArraySource.of([[1, 2], [3, 4]], features=["a", "b"])
    again = pickle.loads(pickle.dumps(source))
    assert again.partitions == source.partitions
    assert again.fingerprint == source.fingerprint
    assert again.features == ("a", "b")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([["x", "y"]], {}, "not real numbers"),
        ([[1j]], {}, "complex numbers"),
        ([1.0, 2.0], {}, "1 dimensions"),
        ([[1.0], [2.0]], {"weights": [1.0]}, "do not fit 2 rows"),
        ([[1.0], [2.0]], {"weights": [1.0, -1.0]}, "row 1 of the weights is -1.0"),
        ([[1.0], [2.0]], {"weights": [np.nan, 1.0]}, "row 0 of the weights is nan"),
        ([[1.0, 2.0]], {"features": ["a", "a"]}, "different names"),
        ([[1.0, 2.0]], {"features": ["a"]}, "2 columns"),
    ],
)
def test_what_is_no_matrix_of_numbers_with_weights_is_refused(values: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ArraySource.of(values, **options)


def _weights_of(leaves: Any) -> list[NDArray[np.float64]]:
    return [leaf.weights for leaf in leaves]

"""The compiled loop that counts values in bins. Arrays only; what the bins mean is in `gmmdask.monitoring.bins`.

A value's place on an even grid says where among the uneven edges to begin; from there it is a step or none to its bin.
Binary search costs ten times as much, because no processor can guess its turns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

CELLS = 4096
TRIMS = (18, 12, 6)
"""An n-th of the edges on either side that the grid may leave out: a long tail would make it coarse in the middle."""


class Grid(NamedTuple):
    """An even grid over some edges: its origin, cells per unit, and for every cell the first edge not below it."""

    low: float
    per_unit: float
    first: NDArray[np.int32]

    @classmethod
    def over(cls, edges: NDArray[np.float64]) -> Grid:
        """Return the grid that leaves the fewest steps from where it begins to a value's bin."""
        return min((_grid(edges, len(edges) // trim) for trim in TRIMS), key=lambda grid: grid.steps(edges))

    def steps(self, edges: NDArray[np.float64]) -> float:
        """Return how many steps it is to an edge on average."""
        return float((np.arange(len(edges)) - self.first[_cells(edges, self.low, self.per_unit)]).mean())


def _grid(edges: NDArray[np.float64], trim: int) -> Grid:
    low, high = float(edges[trim]), float(edges[len(edges) - 1 - trim])
    width = (high - low) / CELLS
    per_unit = 1.0 / width if width > np.finfo(np.float64).tiny else 0.0
    cells = _cells(edges, low, per_unit)
    return Grid(low, per_unit, np.searchsorted(cells, np.arange(CELLS + 1)).astype(np.int32))


def _cells(edges: NDArray[np.float64], low: float, per_unit: float) -> NDArray[np.int64]:
    """Return the cell of each edge by the arithmetic of the loop, which must find it in the same one."""
    return np.asarray(np.clip((edges - low) * per_unit, 0.0, CELLS).astype(np.int64))


@njit(nogil=True, cache=True)
def count_values(values: Any, edges: Any, low: float, per_unit: float, first: Any, counts: Any) -> int:
    """Add to counts[b] the values with edges[b-1] < value <= edges[b]; return how many are NaN.

    The grid is monotone: a smaller value is in no later cell. So every edge before `first` of a value's cell is below it.
    """
    missing = 0
    last, n_edges = len(first) - 1, len(edges)
    for i in range(len(values)):
        value = float(values[i])
        if value != value:
            missing += 1
            continue
        place = (value - low) * per_unit
        cell = 0
        if place >= last:
            cell = last
        elif place > 0.0:
            cell = int(place)
        position = first[cell]
        while position < n_edges and edges[position] < value:
            position += 1
        counts[position] += 1
    return missing

"""What one pass over the data leaves behind: sums that add.

Everything that an iteration needs is a field of `SufficientStatistics`; nothing travels beside it. Sums are kept raw
(never normalised), about fixed references, in one flat vector whose parts `StackLayout` names, so that combining is
one vector addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gmmdask.errors import InconsistentStatisticsError
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, STRUCTURES, TIED, FloatArray, Moments, Structure

Run = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The leaves that a sum covers, as ordered runs (partition, first leaf, last leaf + 1)."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def of_leaf(cls, partition: int, leaf: int) -> Coverage:
        """Return the coverage of a single leaf."""
        return cls(((partition, leaf, leaf + 1),))

    @property
    def n_leaves(self) -> int:
        """Number of leaves covered."""
        return sum(stop - first for _, first, stop in self.runs)

    def union(self, other: Coverage) -> Coverage:
        """Return both together.

        Raises
        ------
        InconsistentStatisticsError
            A leaf is in both: it would be counted twice.
        """
        merged: list[Run] = []
        for run in sorted(self.runs + other.runs):
            if merged and merged[-1][0] == run[0] and merged[-1][2] > run[1]:
                raise InconsistentStatisticsError(
                    f"Leaf {run[1]} of partition {run[0]} is in both sums and would count twice; refusing to add them."
                )
            if merged and merged[-1][0] == run[0] and merged[-1][2] == run[1]:
                merged[-1] = (run[0], merged[-1][1], run[2])
            else:
                merged.append(run)
        return Coverage(tuple(merged))


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateShape:
    """Shape of one candidate of a stack: its structure, size, and whether its sums are about its own means."""

    structure: Structure
    n_components: int
    local: bool = False


@dataclass(frozen=True, kw_only=True)
class StackLayout:
    """Where the sums of each candidate lie in the flat vector.

    Candidates whose sums are about the global centre come first, ordered by structure (spherical, tied, diagonal,
    full); each such component is a row of products with [1, x, x², x·x'] cut to what its structure needs. Candidates
    whose sums are about their own means follow, with whole second moments.

    Parameters
    ----------
    n_features : int
    candidates : tuple of CandidateShape
        In the caller's order.
    reference : str
        Fingerprint of the references; sums about different references do not add.
    """

    n_features: int
    candidates: tuple[CandidateShape, ...]
    reference: str

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions of the centred candidates in the order of their rows."""
        rank = {structure.name: position for position, structure in enumerate(STRUCTURES)}
        centred = [c for c, shape in enumerate(self.candidates) if not shape.local]
        return tuple(sorted(centred, key=lambda c: rank[self.candidates[c].structure.name]))

    @cached_property
    def local(self) -> tuple[int, ...]:
        """Positions of the candidates whose sums are about their own means."""
        return tuple(c for c, shape in enumerate(self.candidates) if shape.local)

    def columns(self, structure: Structure) -> int:
        """Return how many products with a row's features the structure sums per component."""
        d = self.n_features
        return {SPHERICAL: d + 2, TIED: d + 1, DIAGONAL: 2 * d + 1, FULL: 1 + d + d * (d + 1) // 2}[structure]

    def n_rows(self, structure: Structure) -> int:
        """Return how many centred components of this structure the stack holds."""
        return sum(self.candidates[c].n_components for c in self.order if self.candidates[c].structure == structure)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First row of each candidate in `order`, and the number of rows."""
        return (0, *np.cumsum([self.candidates[c].n_components for c in self.order]).tolist())

    @cached_property
    def parts(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Start and shape of every named part of the flat vector."""
        d = self.n_features
        shapes: dict[str, tuple[int, ...]] = {"log_likelihood": (len(self.candidates),), "mass": (1,), "shared": (d, d)}
        for structure in STRUCTURES:
            shapes[structure.name] = (self.n_rows(structure), self.columns(structure))
        for c in self.local:
            k = self.candidates[c].n_components
            shapes |= {f"counts{c}": (k,), f"first{c}": (k, d), f"second{c}": (k, d, d)}
        starts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())]).tolist()
        return {name: (start, shape) for (name, shape), start in zip(shapes.items(), starts, strict=False)}

    @cached_property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(int(np.prod(shape)) for _, shape in self.parts.values())

    def view(self, sums: FloatArray, part: str) -> FloatArray:
        """Return the named part of a flat vector, without copying."""
        start, shape = self.parts[part]
        return sums[start : start + int(np.prod(shape))].reshape(shape)

    def rows(self, sums: FloatArray, candidate: int) -> FloatArray:
        """Return the sums of a centred candidate, shape (n_components, columns)."""
        shape = self.candidates[candidate]
        position = self.order.index(candidate)
        before = [c for c in self.order[:position] if self.candidates[c].structure == shape.structure]
        first = sum(self.candidates[c].n_components for c in before)
        return self.view(sums, shape.structure.name)[first : first + shape.n_components]


@dataclass(frozen=True, kw_only=True, eq=False)
class SufficientStatistics:
    """Sums over a set of leaves for a stack of candidates.

    Parameters
    ----------
    layout : StackLayout
        What the sums are of and about.
    n_rows : int
        Rows summed, whatever their weights.
    coverage : Coverage
        Leaves summed.
    sums : ndarray of shape (layout.size,)
        Log-likelihoods (nats, weighted), Σ weight, Σ w·xxᵀ, and every candidate's sums.
    """

    layout: StackLayout
    n_rows: int
    coverage: Coverage
    sums: FloatArray

    def __post_init__(self) -> None:
        self.sums.setflags(write=False)

    @classmethod
    def identity(cls, layout: StackLayout) -> SufficientStatistics:
        """Return the sums over no leaves at all."""
        return cls(layout=layout, n_rows=0, coverage=Coverage(), sums=np.zeros(layout.size))

    def combine(self, other: SufficientStatistics) -> SufficientStatistics:
        """Return the sums over the leaves of both.

        Exact with the identity and commutative to the bit; associative to rounding.

        Raises
        ------
        InconsistentStatisticsError
            A leaf is in both, or the sums are of other candidates or about other references.
        """
        if self.layout != other.layout:
            raise InconsistentStatisticsError(
                f"Statistics of different stacks or about different references do not add "
                f"(references {self.layout.reference} and {other.layout.reference})."
            )
        if not self.coverage.runs:
            return other
        if not other.coverage.runs:
            return self
        coverage = self.coverage.union(other.coverage)
        n_rows = self.n_rows + other.n_rows
        return SufficientStatistics(layout=self.layout, n_rows=n_rows, coverage=coverage, sums=self.sums + other.sums)

    @property
    def mass(self) -> float:
        """Sum of the row weights."""
        return float(self.layout.view(self.sums, "mass")[0])

    @property
    def log_likelihoods(self) -> FloatArray:
        """Weighted log-likelihood of every candidate in nats, shape (n_candidates,)."""
        return self.layout.view(self.sums, "log_likelihood")

    def moments(self, candidate: int, references: FloatArray) -> Moments:
        """Return a candidate's sums as matrices.

        Parameters
        ----------
        candidate : int
        references : ndarray of shape (n_components, n_features)
            The points that the sums are about (kept by the stack that was summed with).
        """
        shape, d = self.layout.candidates[candidate], self.layout.n_features
        if shape.local:
            counts, first, second = (
                self.layout.view(self.sums, f"{p}{candidate}") for p in ("counts", "first", "second")
            )
            return Moments(counts=counts, first=first, second=shape.structure.compress(second), references=references)
        rows = self.layout.rows(self.sums, candidate)
        if shape.structure == SPHERICAL:
            return Moments(counts=rows[:, 1], first=rows[:, 2:], second=rows[:, 0], references=references)
        second = {
            TIED: lambda: self.layout.view(self.sums, "shared"),
            DIAGONAL: lambda: rows[:, 1 + d :],
            FULL: lambda: symmetric_from_products(rows[:, 1 + d :], d),
        }[shape.structure]()
        return Moments(counts=rows[:, 0], first=rows[:, 1 : 1 + d], second=second, references=references)


def symmetric_from_products(products: FloatArray, n_features: int) -> FloatArray:
    """Return symmetric matrices from rows [x², x_i·x_j (i < j)], shape (n_rows, n_features, n_features)."""
    matrices = np.empty((len(products), n_features, n_features))
    diagonal = np.arange(n_features)
    matrices[:, diagonal, diagonal] = products[:, :n_features]
    upper, lower = np.triu_indices(n_features, 1)
    matrices[:, upper, lower] = matrices[:, lower, upper] = products[:, n_features:]
    return matrices

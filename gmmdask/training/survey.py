"""Pass 0: one read of the raw columns that recipe, starts, criteria and reports share.

Counts, moments, extremes, missing patterns, category counts and a seeded reservoir over rows. Nothing randomised or
dependent on order feeds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine.port import Engine
from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.statistics import Coverage
from gmmdask.preparation.recipe import Recipe
from gmmdask.source import Leaf, Source
from gmmdask.training.reservoir import RESERVOIR_ROWS, Reservoir, reservoir_of

FloatArray = NDArray[np.float64]
CATEGORY_LIMIT = 1_000
PATTERN_LIMIT = 1_000


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMoments:
    """Weighted mean and squared deviations of each feature over complete rows of positive weight.

    Parameters
    ----------
    n_rows : int
        Complete rows, whatever their weights.
    mass, squared_mass : float
        Σ w and Σ w² over them.
    mean, deviations : ndarray of shape (n_features,)
        Σ w·x / Σ w and Σ w·(x − mean)².
    """

    n_rows: int
    mass: float
    squared_mass: float
    mean: FloatArray
    deviations: FloatArray

    @classmethod
    def of(cls, values: FloatArray, weights: FloatArray) -> FeatureMoments:
        """Return the moments of complete rows, shape (n_features, n_rows)."""
        mass = float(weights.sum())
        centre = values[:, :1] if values.shape[1] else np.zeros((len(values), 1))
        shifted = (values - centre) * (weights > 0)
        offset = shifted @ weights / mass if mass > 0 else np.zeros(len(values))
        deviations = ((shifted - offset[:, None]) ** 2) @ weights
        squared = float(weights @ weights)
        return cls(
            n_rows=values.shape[1], mass=mass, squared_mass=squared, mean=centre[:, 0] + offset, deviations=deviations
        )

    def combine(self, other: FeatureMoments) -> FeatureMoments:
        """Return the moments of both (Chan, Golub & LeVeque 1979, equation 2.1)."""
        mass = self.mass + other.mass
        n_rows = self.n_rows + other.n_rows
        if self.mass == 0 or other.mass == 0:
            heavier = self if other.mass == 0 else other
            squared, mean, deviations = heavier.squared_mass, heavier.mean, heavier.deviations
        else:
            squared = self.squared_mass + other.squared_mass
            step = other.mean - self.mean
            mean = self.mean + step * (other.mass / mass)
            deviations = self.deviations + other.deviations + step**2 * (self.mass * other.mass / mass)
        return FeatureMoments(n_rows=n_rows, mass=mass, squared_mass=squared, mean=mean, deviations=deviations)

    def scaled(self, centre: FloatArray, scale: FloatArray, used: list[int]) -> FeatureMoments:
        """Return the moments of (x − centre)/scale for the features `used`."""
        mean, deviations = (self.mean[used] - centre) / scale, self.deviations[used] / scale**2
        return replace(self, mean=mean, deviations=deviations)

    @property
    def variance(self) -> FloatArray:
        """Weighted variances (dividing by Σ w), in squared units of the features."""
        return self.deviations / self.mass if self.mass > 0 else np.zeros_like(self.deviations)


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What pass 0 learned.

    Parameters
    ----------
    features : tuple of str
    n_rows : int
        All rows, complete or not.
    coverage : Coverage
        Leaves that were read.
    moments : FeatureMoments
        Over complete rows: every feature present and finite.
    minimum, maximum : ndarray of shape (n_features,)
        Over finite values; ∞ and −∞ where there is none.
    missing, infinite : ndarray of shape (n_features,), int64
        Cells that are missing, and infinite.
    patterns : Counter
        Rows by pattern of missing features, as a string of 0 and 1; beyond 1,000 patterns under "other".
    categories : mapping of str to Counter
        Rows by value of each carried text column; beyond 1,000 values under "other".
    reservoir : Reservoir
        Seeded sample of complete rows.
    """

    features: tuple[str, ...]
    n_rows: int
    coverage: Coverage
    moments: FeatureMoments
    minimum: FloatArray
    maximum: FloatArray
    missing: NDArray[np.int64]
    infinite: NDArray[np.int64]
    patterns: Counter[str]
    reservoir: Reservoir
    categories: Mapping[str, Counter[str]] = field(default_factory=dict)

    def combine(self, other: Survey) -> Survey:
        """Return the survey of both."""
        columns = sorted(self.categories.keys() | other.categories.keys())
        return Survey(
            features=self.features,
            n_rows=self.n_rows + other.n_rows,
            coverage=self.coverage.union(other.coverage),
            moments=self.moments.combine(other.moments),
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            missing=self.missing + other.missing,
            infinite=self.infinite + other.infinite,
            patterns=_capped(self.patterns + other.patterns, PATTERN_LIMIT),
            reservoir=self.reservoir.combine(other.reservoir),
            categories={
                c: _capped(self.categories.get(c, Counter()) + other.categories.get(c, Counter()), CATEGORY_LIMIT)
                for c in columns
            },
        )

    @property
    def reference(self) -> Reference:
        """Where the data are centred and how far they spread."""
        return Reference(centre=self.moments.mean, scale=np.sqrt(self.moments.variance))

    def prepared(self, recipe: Recipe) -> Survey:
        """Return what a survey of the prepared data would have found, without reading them.

        Raises
        ------
        InvalidInputError
            A column that the recipe leaves out has missing cells, so that the rows it keeps are not known.
        """
        used = [j for j, column in enumerate(recipe.columns) if not column.constant]
        left_out = [n for j, n in enumerate(self.features) if j not in used and (self.missing[j] or self.infinite[j])]
        if left_out:
            raise InvalidInputError(
                f"Columns {left_out} are constant where they are not missing; remove them from the features."
            )
        reservoir = replace(self.reservoir, values=recipe.apply(self.reservoir.values)[0])
        nothing = np.zeros(len(used), dtype=np.int64)
        return replace(
            self,
            features=recipe.prepared_features,
            n_rows=self.moments.n_rows,
            moments=self.moments.scaled(recipe.centre[used], recipe.scale[used], used),
            minimum=(self.minimum[used] - recipe.centre[used]) / recipe.scale[used],
            maximum=(self.maximum[used] - recipe.centre[used]) / recipe.scale[used],
            missing=nothing,
            infinite=nothing,
            patterns=Counter({"0" * len(used): self.moments.n_rows}),
            reservoir=reservoir,
        )

    def require_complete(self, what: str = "Input X") -> None:
        """Refuse data with missing or infinite cells, or without rows of positive weight.

        Raises
        ------
        InvalidInputError, EmptyDataError
        """
        if self.missing.any() or self.infinite.any():
            cells = [
                f"{name} ({missing} missing, {infinite} infinite)"
                for name, missing, infinite in zip(self.features, self.missing, self.infinite, strict=True)
                if missing or infinite
            ]
            found = "NaN" if self.missing.any() else "infinity"
            raise InvalidInputError(
                f"{what} contains {found}: {', '.join(cells[:5])}. Drop or impute such rows before fitting."
            )
        if self.moments.mass <= 0:
            raise EmptyDataError(f"{what} has no row of positive weight (found {self.n_rows} rows).")


def survey_source(source: Source, engine: Engine, *, seed: int = 0) -> Survey:
    """Read all the data once and return what was found.

    Parameters
    ----------
    source : Source
        Raw or prepared data; missing and infinite cells are counted, not refused.
    engine : Engine
    seed : int, default 0
        Seed of the reservoir.

    Raises
    ------
    EmptyDataError
        The source has no leaf at all.
    """
    names = tuple(partition.name for partition in source.partitions)
    return engine.map_reduce(source, survey_leaf, (source.features, names, seed), name="pass-0")


def survey_leaf(leaf: Leaf, features: tuple[str, ...], names: tuple[str, ...], seed: int) -> Survey:
    """Survey one leaf.

    Parameters
    ----------
    leaf : Leaf
    features : tuple of str
    names : tuple of str
        Names of the source's partitions.
    seed : int
        Seed of the reservoir.
    """
    values, weights = leaf.values, leaf.weights
    missing, infinite = np.isnan(values), np.isinf(values)
    complete = ~(missing | infinite).any(axis=0)
    unit = np.ones(leaf.n_rows) if weights is None else weights
    kept = values if complete.all() else values[:, complete]
    finite = np.where(missing | infinite, np.nan, values) if not complete.all() else values
    return Survey(
        features=features,
        n_rows=leaf.n_rows,
        coverage=Coverage.of_leaf(leaf.partition, leaf.index),
        moments=FeatureMoments.of(kept.astype(np.float64, copy=False), unit[complete]),
        minimum=np.fmin.reduce(finite, axis=1, initial=np.inf).astype(np.float64),
        maximum=np.fmax.reduce(finite, axis=1, initial=-np.inf).astype(np.float64),
        missing=missing.sum(axis=1),
        infinite=infinite.sum(axis=1),
        patterns=_patterns(missing),
        reservoir=reservoir_of(leaf, names[leaf.partition], seed, RESERVOIR_ROWS, complete & (unit > 0)),
        categories={name: _category_counts(column) for name, column in leaf.carried.items()},
    )


def _patterns(missing: NDArray[np.bool_]) -> Counter[str]:
    incomplete = missing.any(axis=0)
    patterns, counts = np.unique(missing[:, incomplete].T, axis=0, return_counts=True)
    found = Counter({"".join("01"[int(m)] for m in row): int(n) for row, n in zip(patterns, counts, strict=True)})
    n_complete = int(np.count_nonzero(~incomplete))
    return found + Counter({"0" * len(missing): n_complete})


def _category_counts(column: Iterable[object]) -> Counter[str]:
    counted = column.value_counts()  # type: ignore[attr-defined]
    return Counter({"" if v["values"] is None else str(v["values"]): int(v["counts"]) for v in counted.to_pylist()})


def _capped(counts: Counter[str], limit: int) -> Counter[str]:
    if len(counts) <= limit:
        return counts
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = Counter(dict(ranked[: limit - 1]))
    kept["other"] += sum(n for _, n in ranked[limit - 1 :])
    return kept

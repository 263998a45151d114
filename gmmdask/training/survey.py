"""Pass 0: one read of the raw columns that recipe, starts, criteria and reports share.

Counts, moments, extremes, missing patterns, category counts and a seeded reservoir over rows. Nothing randomised or
dependent on order feeds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.engine.port import Engine
from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.statistics import Coverage
from gmmdask.preparation.codes import as_text, texts_of
from gmmdask.preparation.recipe import Recipe
from gmmdask.source import Leaf, Source
from gmmdask.training.moments import FeatureMoments
from gmmdask.training.reservoir import RESERVOIR_ROWS, Reservoir, reservoir_of

FloatArray = NDArray[np.float64]
CATEGORY_LIMIT = 1_000
PATTERN_LIMIT = 1_000
NOTHING: Counter[str | None] = Counter()


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What pass 0 learned.

    Parameters
    ----------
    features : tuple of str
    n_rows : int
        All rows, usable or not.
    coverage : Coverage
        Leaves that were read.
    moments : FeatureMoments
        Over usable rows: no feature infinite, and none missing but those that will be filled.
    minimum, maximum : ndarray of shape (n_features,)
        Over the values of usable rows of positive weight; ∞ and −∞ where there is none.
    missing, infinite : ndarray of shape (n_features,), int64
        Cells that are missing, and infinite.
    patterns : Counter
        Rows by pattern of missing features, as a string of 0 and 1; beyond 1,000 patterns under "other".
    categories : mapping of str to Counter
        Usable rows by the text of each carried column's value, None where it is missing; beyond 1,000 values under "other".
    reservoir : Reservoir
        Seeded sample of usable rows of positive weight; NaN where a value will be filled.
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
    categories: Mapping[str, Counter[str | None]] = field(default_factory=dict)

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
                c: _capped(self.categories.get(c, NOTHING) + other.categories.get(c, NOTHING), CATEGORY_LIMIT)
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
        self._require_kept(recipe)
        reservoir = replace(self.reservoir, values=recipe.apply(self.reservoir.values)[0])
        moments, minimum, maximum = self._scaled(recipe) if recipe.is_affine else self._estimated(reservoir)
        nothing = np.zeros(len(recipe.prepared_features), dtype=np.int64)
        return replace(
            self,
            features=recipe.prepared_features,
            n_rows=self.moments.n_rows,
            moments=moments,
            minimum=minimum,
            maximum=maximum,
            missing=nothing,
            infinite=nothing,
            patterns=Counter({"0" * len(nothing): self.moments.n_rows}),
            reservoir=reservoir,
        )

    def _require_kept(self, recipe: Recipe) -> None:
        """Refuse columns that the recipe leaves out and whose missing cells made rows unusable here."""
        left_out = [
            column.name
            for column, missing, infinite in zip(recipe.columns, self.missing, self.infinite, strict=True)
            if column.constant and ((missing and column.fill is None) or infinite)
        ]
        if left_out:
            raise InvalidInputError(
                f"Columns {left_out} are constant where they are not missing; remove them from the features."
            )

    def _scaled(self, recipe: Recipe) -> tuple[FeatureMoments, FloatArray, FloatArray]:
        """Return exact moments and extremes of what was only centred and scaled."""
        used = [j for j, column in enumerate(recipe.columns) if not column.constant]
        centre, scale = recipe.centre[used], recipe.scale[used]
        moments = self.moments.scaled(centre, scale, used)
        return moments, (self.minimum[used] - centre) / scale, (self.maximum[used] - centre) / scale

    def _estimated(self, prepared: Reservoir) -> tuple[FeatureMoments, FloatArray, FloatArray]:
        """Return moments and extremes of the prepared sample, with the rows and weights of all usable rows."""
        sampled = FeatureMoments.of(prepared.values, prepared.weights)
        growth = self.moments.mass / sampled.mass if sampled.mass > 0 else 0.0
        moments = replace(
            self.moments,
            present=np.full(len(prepared.values), self.moments.mass),
            mean=sampled.mean,
            deviations=sampled.deviations * growth,
        )
        lowest, highest = prepared.values.min(axis=1, initial=np.inf), prepared.values.max(axis=1, initial=-np.inf)
        return moments, lowest, highest

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


def survey_source(source: Source, engine: Engine, *, seed: int = 0, imputed: Sequence[str] = ()) -> Survey:
    """Read all the data once and return what was found.

    Parameters
    ----------
    source : Source
        Raw or prepared data; missing and infinite cells are counted, not refused.
    engine : Engine
    seed : int, default 0
        Seed of the reservoir.
    imputed : sequence of str, default ()
        Features whose missing cells will be filled: they make no row unusable.

    Raises
    ------
    EmptyDataError
        The source has no leaf at all.
    """
    names = tuple(partition.name for partition in source.partitions)
    return engine.map_reduce(source, survey_leaf, (source.features, names, seed, tuple(imputed)), name="pass-0")


def survey_leaf(
    leaf: Leaf, features: tuple[str, ...], names: tuple[str, ...], seed: int, imputed: tuple[str, ...] = ()
) -> Survey:
    """Survey one leaf.

    Parameters
    ----------
    leaf : Leaf
    features : tuple of str
    names : tuple of str
        Names of the source's partitions.
    seed : int
        Seed of the reservoir.
    imputed : tuple of str, default ()
        Features that may be missing in a usable row.
    """
    values, weights = leaf.values, leaf.weights
    missing, infinite = np.isnan(values), np.isinf(values)
    required = [name not in imputed for name in features]
    usable = ~((missing[required] if imputed else missing).any(axis=0) | infinite.any(axis=0))
    unit = np.ones(leaf.n_rows) if weights is None else weights
    kept = values if usable.all() else values[:, usable]
    counted = usable & (unit > 0)
    lowest, highest = _extremes(kept if np.count_nonzero(usable) == np.count_nonzero(counted) else values[:, counted])
    has_holes = bool(imputed) and bool(missing.any())
    return Survey(
        features=features,
        n_rows=leaf.n_rows,
        coverage=Coverage.of_leaf(leaf.partition, leaf.index),
        moments=FeatureMoments.of(kept.astype(np.float64, copy=False), unit[usable], has_holes=has_holes),
        minimum=lowest,
        maximum=highest,
        missing=missing.sum(axis=1),
        infinite=infinite.sum(axis=1),
        patterns=_patterns(missing),
        reservoir=reservoir_of(leaf, names[leaf.partition], seed, RESERVOIR_ROWS, counted),
        categories={name: _category_counts(column, name, usable) for name, column in leaf.carried.items()},
    )


def _extremes(values: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    lowest, highest = np.fmin.reduce(values, axis=1, initial=np.inf), np.fmax.reduce(values, axis=1, initial=-np.inf)
    return lowest.astype(np.float64), highest.astype(np.float64)


def _patterns(missing: NDArray[np.bool_]) -> Counter[str]:
    incomplete = missing.any(axis=0)
    patterns, counts = np.unique(missing[:, incomplete].T, axis=0, return_counts=True)
    found = Counter({"".join("01"[int(m)] for m in row): int(n) for row, n in zip(patterns, counts, strict=True)})
    n_complete = int(np.count_nonzero(~incomplete))
    return found + Counter({"0" * len(missing): n_complete})


def _category_counts(column: Any, name: str, usable: NDArray[np.bool_]) -> Counter[str | None]:
    kept = column if usable.all() else column.filter(pa.array(usable))
    with as_text(column.type, name):
        counted = kept.value_counts()
    values = counted.field("values")
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    return Counter(dict(zip(texts_of(plain, name).to_pylist(), counted.field("counts").to_pylist(), strict=True)))


def _capped(counts: Counter[Any], limit: int) -> Counter[Any]:
    if len(counts) <= limit:
        return counts
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    kept: Counter[Any] = Counter(dict(ranked[: limit - 1]))
    kept["other"] += sum(n for _, n in ranked[limit - 1 :])
    return kept

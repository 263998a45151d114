"""The bins that every night is counted on: learned once from training rows, fixed from then on.

Counts are in `gmmdask.monitoring.counts`; nothing here knows of nights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.monitoring.binning import Grid

Floats = NDArray[np.float64]

VERSION = 1
N_BINS = 200
"""Bins of equal training counts for KS and Wasserstein; every twentieth edge bounds the deciles of the PSI."""

TAIL_STEPS = 0.25 * 2.0 ** np.arange(12)
"""Edges beyond the outermost quantiles, in spreads: however far a feature has moved, up to 512 spreads it is seen."""

LARGEST_CATEGORIES = 50
"""Values of a category column that are counted by name, the most frequent ones."""

OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureBins:
    """Edges for every feature and names for every category column.

    Parameters
    ----------
    features : tuple of str
    edges : tuple of ndarray
        For each feature ascending; bin b holds edges[b-1] < x <= edges[b], the first and the last bin are open.
    decile_edges : tuple of ndarray of int
        For each feature the positions of those edges that bound its deciles.
    spreads : ndarray of shape (n_features,)
        Standard deviation without the outermost 0.1 % on both sides, in the feature's unit; 0 where nothing varies.
    categories : mapping of str to tuple of str, default empty
        The values of each category column that are counted by name. "(other)" and "(missing)" follow them.
    """

    features: tuple[str, ...]
    edges: tuple[Floats, ...]
    decile_edges: tuple[NDArray[np.int64], ...]
    spreads: Floats
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def learn(
        cls,
        features: Sequence[str],
        values: NDArray[Any],
        categories: Mapping[str, Mapping[str, int]] | None = None,
    ) -> Self:
        """Lay bins over a sample of the training rows.

        Parameters
        ----------
        features : sequence of str
        values : ndarray of shape (n_features, n_rows)
            Raw values of the sample; NaN and infinity are passed over.
        categories : mapping of str to mapping of str to int, optional
            For every category column its values with their counts, those that are missing left out.

        Raises
        ------
        EmptyDataError
            A feature has no finite value in the sample.
        """
        if len(features) != len(values):
            raise InvalidInputError(f"values of shape {values.shape} do not fit the features {list(features)}")
        finite = [row[np.isfinite(row)].astype(np.float64) for row in values]
        for name, row in zip(features, finite, strict=True):
            if not len(row):
                raise EmptyDataError(
                    f"feature {name!r} has no finite value in the sample, so it has no bins; leave it out"
                )
        spreads = np.array([_spread(row) for row in finite])
        edges = tuple(_edges(row, spread) for row, spread in zip(finite, spreads, strict=True))
        deciles = (np.searchsorted(own, _quantile_edges(row, 10)) for own, row in zip(edges, finite, strict=True))
        return cls(
            features=tuple(features),
            edges=edges,
            decile_edges=tuple(positions.astype(np.int64) for positions in deciles),
            spreads=spreads,
            categories={name: _largest(counts) for name, counts in (categories or {}).items()},
        )

    @property
    def n_bins(self) -> int:
        """Most bins that a feature has."""
        return max((len(own) + 1 for own in self.edges), default=1)

    def category_names(self, column: str) -> tuple[str, ...]:
        """Return the values of a category column in the order of their counts."""
        return (*self.categories[column], OTHER, MISSING)

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """Where the counting loop begins, for every feature."""
        return tuple(Grid.over(own) for own in self.edges)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of names and edges: counts on bins of different fingerprints do not add or compare."""
        arrays, facts = self.to_parts()
        digest = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
        for name in sorted(arrays):
            digest.update(arrays[name].astype("<f8").tobytes())
        return digest.hexdigest()

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes equal bins."""
        arrays: dict[str, NDArray[Any]] = {
            "edges": np.concatenate([*self.edges, np.empty(0)]),
            "decile_edges": np.concatenate([*self.decile_edges, np.empty(0, dtype=np.int64)]),
            "spreads": self.spreads,
        }
        facts = {
            "version": VERSION,
            "features": list(self.features),
            "n_edges": [len(own) for own in self.edges],
            "n_decile_edges": [len(own) for own in self.decile_edges],
            "categories": {name: list(values) for name, values in self.categories.items()},
        }
        return arrays, facts

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Make bins from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version.
        """
        if facts.get("version") != VERSION:
            raise InvalidInputError(
                f"feature bins of version {facts.get('version')} cannot be read; this is version {VERSION}: train again"
            )
        return cls(
            features=tuple(facts["features"]),
            edges=_parted(np.asarray(arrays["edges"], dtype=np.float64), facts["n_edges"]),
            decile_edges=_parted(np.asarray(arrays["decile_edges"], dtype=np.int64), facts["n_decile_edges"]),
            spreads=np.asarray(arrays["spreads"], dtype=np.float64),
            categories={name: tuple(values) for name, values in facts["categories"].items()},
        )


def _spread(values: Floats) -> float:
    low, high = np.quantile(values, [0.001, 0.999])
    spread = float(np.clip(values, low, high).std())
    return spread if spread > 1e-12 * max(abs(low), abs(high)) else 0.0


def _quantile_edges(values: Floats, n_bins: int) -> Floats:
    """Return the edges of equal counts; a value that fills more than a bin gets one of its own."""
    quantiles = np.quantile(values, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    edges, counts = np.unique(quantiles, return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[counts > 1], -np.inf)]))


def _edges(values: Floats, spread: float) -> Floats:
    inner = np.union1d(_quantile_edges(values, N_BINS), _quantile_edges(values, 10))
    steps = TAIL_STEPS * spread
    edges = np.concatenate([inner[0] - steps, inner, inner[-1] + steps])
    return np.unique(edges[np.isfinite(edges)])


def _largest(counts: Mapping[str, int]) -> tuple[str, ...]:
    ranked = sorted((name for name in counts if name not in (OTHER, MISSING)), key=lambda name: (-counts[name], name))
    return tuple(sorted(ranked[:LARGEST_CATEGORIES]))


def _parted(joined: NDArray[Any], lengths: Sequence[int]) -> tuple[NDArray[Any], ...]:
    return tuple(np.split(joined, np.cumsum(lengths)[:-1])) if lengths else ()

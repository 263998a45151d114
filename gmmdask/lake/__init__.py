"""Where rows come from: Parquet lakes, arrays, Dask collections and prepared data, all as sources.

Adapters of `gmmdask.source.Source` live here; what is computed from the rows does not. The adapter for Dask is not
imported with the others: import `gmmdask.lake.dask_collections` for it.
"""

from __future__ import annotations

from gmmdask.lake.arrays import ArraySource
from gmmdask.lake.finite import require_finite, require_weights
from gmmdask.lake.held_out import HeldOutRows, TrainingRows, held_out
from gmmdask.lake.lake import Lake, open_lake
from gmmdask.lake.prepared import PreparedSource

__all__ = [
    "ArraySource",
    "HeldOutRows",
    "Lake",
    "PreparedSource",
    "TrainingRows",
    "held_out",
    "open_lake",
    "require_finite",
    "require_weights",
]

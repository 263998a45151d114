"""The rows that lie farthest outside: those of lowest log density, with their values, so that people can see why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.preparation.codes import texts_of
from gmmdask.scoring.assign import FloatArray, LeafScores, SegmentModel
from gmmdask.scoring.profile import used_rows

KEPT_ROWS = 20
"""Rows that are kept of a partition, and of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutlyingRow:
    """One row, as it stood in the lake.

    Parameters
    ----------
    dt : datetime.date
    id : str
    segment_id : int
        The most probable segment.
    log_density : float
        In nats, original units.
    values : mapping of str to float, str or None
        Of every column that is clustered or described; None where there is none.
    """

    dt: date
    id: str
    segment_id: int
    log_density: float
    values: Mapping[str, float | str | None]


def outlying_rows(
    values: NDArray[Any], scores: LeafScores, model: SegmentModel, described: Mapping[str, Any], who: tuple[Any, date]
) -> tuple[OutlyingRow, ...]:
    """Return the rows of a leaf that lie farthest outside, the farthest first.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
        Raw values.
    scores : LeafScores
    model : SegmentModel
    described : mapping of str to pyarrow.Array
        As `profile_leaf` has them.
    who : (pyarrow.Array, datetime.date)
        Identifier of every row, and the date of all of them.
    """
    ids, dt = who
    lowest = _lowest(scores.log_density)
    places = np.flatnonzero(scores.scored)[lowest]
    texts = {name: texts_of(column.take(places), name).to_pylist() for name, column in described.items()}
    numbers = values[used_rows(model)][:, places].astype(np.float64)
    found = []
    for rank, (row, own) in enumerate(zip(lowest.tolist(), ids.take(places).cast("string").to_pylist(), strict=True)):
        measured = zip(model.recipe.numeric_features, numbers[:, rank].tolist(), strict=True)
        found.append(
            OutlyingRow(
                dt=dt,
                id=own,
                segment_id=model.segment_ids[int(scores.component[row])],
                log_density=float(scores.log_density[row]),
                values={
                    **{name: value if math.isfinite(value) else None for name, value in measured},
                    **{name: column[rank] for name, column in texts.items()},
                },
            )
        )
    return tuple(found)


def _lowest(log_density: FloatArray) -> NDArray[np.intp]:
    """Return where the lowest densities are, the lowest first; whole leaves are not sorted."""
    n = min(KEPT_ROWS, len(log_density))
    places = np.argpartition(log_density, n - 1)[:n] if n else np.empty(0, dtype=np.intp)
    return places[np.lexsort((places, log_density[places]))]


def farthest(rows: Iterable[OutlyingRow]) -> tuple[OutlyingRow, ...]:
    """Return the rows that lie farthest outside, the farthest first; of equal ones, those of the earlier date and id."""
    return tuple(sorted(rows, key=lambda row: (row.log_density, row.dt, row.id))[:KEPT_ROWS])

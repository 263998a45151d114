"""From the raw values of a leaf to the segment of every row, and from there to columns of `assignments`.

Whole columns at a time; nothing here reads or writes a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import score_rows
from gmmdask.mixture.stack import Reference
from gmmdask.preparation.recipe import Recipe, RowStatus

FloatArray = NDArray[np.float64]

STATUS_NAMES = ("ok", "missing", "invalid", "unseen")
"""What `assignments.status` says for each `RowStatus`."""

LOWEST_LOG_DENSITY = -1e300
"""Below it a row lies so far outside that its distance has overflowed: no segment can be told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentModel:
    """Everything that turns raw rows into segments.

    Parameters
    ----------
    recipe : Recipe
        From raw columns to prepared ones.
    parameters : MixtureParameters
        The mixture, in prepared units.
    reference : Reference
        Where prepared rows are centred; part of what determines the last bits.
    segment_ids : tuple of int
        Stable id of every component.
    anomaly_threshold : float, optional
        Log density in original units (nats) below which a row is an anomaly.
    """

    recipe: Recipe
    parameters: MixtureParameters
    reference: Reference
    segment_ids: tuple[int, ...]
    anomaly_threshold: float | None = None

    def __post_init__(self) -> None:
        if len(set(self.segment_ids)) != self.parameters.n_components:
            raise InvalidInputError(
                f"segment ids {list(self.segment_ids)} do not name {self.parameters.n_components} components once each"
            )

    @property
    def n_segments(self) -> int:
        """Number of segments K."""
        return self.parameters.n_components

    @cached_property
    def centres(self) -> FloatArray:
        """Component means in original units, shape (n_segments, n_features)."""
        return np.ascontiguousarray(self.recipe.invert(np.ascontiguousarray(self.parameters.means.T)).T)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class LeafScores:
    """What the model says of the rows of a leaf.

    Parameters
    ----------
    status : ndarray of shape (n_rows,), uint8
        A `RowStatus` for every row.
    component : ndarray of shape (n_scored,), int64
        Most probable component of each row whose status is OK, in order; so are the following.
    probability, log_density : ndarray of shape (n_scored,)
        Posterior probability of that component; log density in original units, in nats.
    responsibilities : ndarray of shape (n_components, n_scored)
        Posterior probabilities of all components.
    """

    status: NDArray[np.uint8]
    component: NDArray[np.int64]
    probability: FloatArray
    log_density: FloatArray
    responsibilities: FloatArray

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which rows have a segment, shape (n_rows,)."""
        return np.equal(self.status, RowStatus.OK)


def score_leaf(values: NDArray[Any], model: SegmentModel) -> LeafScores:
    """Assign every row that can be scored to its most probable component; of equal ones, the first.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
        Raw values in the order of the recipe, NaN where missing, codes where a column is a category.
    model : SegmentModel
    """
    prepared, kept = model.recipe.apply(values)
    rows = score_rows(prepared, model.parameters, model.reference)
    component = rows.responsibilities.argmax(axis=0) if prepared.shape[1] else np.empty(0, dtype=np.int64)
    scores = LeafScores(
        status=np.zeros(len(kept), dtype=np.uint8) if kept.all() else model.recipe.status(values),
        component=component,
        probability=np.take_along_axis(rows.responsibilities, component[None], axis=0)[0],
        log_density=rows.log_densities + model.recipe.log_jacobian(values),
        responsibilities=rows.responsibilities,
    )
    return _without_overflow(scores)


def _without_overflow(scores: LeafScores) -> LeafScores:
    sound = (scores.log_density > LOWEST_LOG_DENSITY) & np.isfinite(scores.probability)
    if sound.all():
        return scores
    status = scores.status.copy()
    status[np.flatnonzero(scores.scored)[~sound]] = RowStatus.INVALID
    return replace(
        scores,
        status=status,
        component=scores.component[sound],
        probability=scores.probability[sound],
        log_density=scores.log_density[sound],
        responsibilities=np.ascontiguousarray(scores.responsibilities[:, sound]),
    )


def is_anomaly(scores: LeafScores, model: SegmentModel) -> NDArray[np.bool_] | None:
    """Return which scored rows lie below the model's threshold; None where it has none."""
    return None if model.anomaly_threshold is None else scores.log_density < model.anomaly_threshold


def assignments(scores: LeafScores, model: SegmentModel, ids: Any, dt: date) -> dict[str, Any]:
    """Return the columns of `assignments` for a leaf.

    Parameters
    ----------
    scores : LeafScores
    model : SegmentModel
    ids : pyarrow.Array
        Identifier of every row, of any type that can be written as text.
    dt : datetime.date
        Date of the partition.
    """
    n = len(scores.status)
    scored = scores.scored
    segments = np.array(model.segment_ids, dtype=np.int64)[scores.component]
    anomalies = is_anomaly(scores, model)
    return {
        "dt": pa.repeat(pa.scalar(dt, type=pa.date32()), n),
        "id": ids.cast(pa.string()),
        "segment_id": _spread(segments, scored),
        "component": _spread(scores.component, scored),
        "probability": _spread(scores.probability, scored),
        "probabilities": _lists(scores.responsibilities, scored),
        "log_density": _spread(scores.log_density, scored),
        "is_anomaly": pa.nulls(n, pa.bool_()) if anomalies is None else _spread(anomalies, scored),
        "status": _names(scores.status),
    }


def _spread(values: NDArray[Any], scored: NDArray[np.bool_]) -> Any:
    """Return an Arrow column with the values at the rows that were scored and NULL elsewhere."""
    if len(values) == len(scored):
        return pa.array(values)
    spread = np.zeros(len(scored), dtype=values.dtype)
    spread[scored] = values
    return pa.array(spread, mask=~scored)


def _names(status: NDArray[np.uint8]) -> Any:
    names: Any = pa.array(STATUS_NAMES)
    return names.take(pa.array(status))


def _lists(responsibilities: FloatArray, scored: NDArray[np.bool_]) -> Any:
    offsets = np.zeros(len(scored) + 1, dtype=np.int32)
    np.cumsum(scored * np.int32(len(responsibilities)), out=offsets[1:])
    values: Any = pa.array(np.ascontiguousarray(responsibilities.T).ravel())
    mask: Any = None if scored.all() else pa.array(~scored)
    starts: Any = pa.array(offsets)
    return pa.ListArray.from_arrays(starts, values, mask=mask)

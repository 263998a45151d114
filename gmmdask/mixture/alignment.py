"""Which component of a new mixture continues which of an old one, told from the rows that both hold.

A component is a fuzzy set of rows: its responsibilities. Two components overlap by the Jaccard index of such sets,
Σ min(r, r′) / Σ max(r, r′), which is 1 for the same component however much it overlaps with its neighbours; the
product Σ r·r′ is not. Ids come in and go out; names, tables and pictures are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.mixture.structures import FloatArray

SMALLEST_MATCH = 0.5
"""Overlap from which on a new component keeps an old one's id."""

LARGE_PART = 0.3
"""A component is split, or merged, when two parts of its rows are larger than this share."""

DECIMALS = 9
"""Overlaps are compared after rounding, so that no last bit of a sum decides an id."""

Origin = Literal["kept", "born", "split", "merged"]
Fate = Literal["kept", "split", "merged", "died"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Descent:
    """Where a component of the new mixture comes from.

    Parameters
    ----------
    segment_id : int
        The old id where the component was matched, else a fresh one.
    origin : {"kept", "born", "split", "merged"}
        How the id came: kept from a matched component; fresh for a part of a split one, for several merged ones, or
        for a component without a predecessor.
    predecessors : tuple of int
        Old ids it descends from, the one kept or else the one that gave most rows first; empty for a born one.
    overlap : float or None
        Jaccard index with the first predecessor; None where there is none.
    """

    segment_id: int
    origin: Origin
    predecessors: tuple[int, ...]
    overlap: float | None


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Alignment:
    """What became of the components of an old mixture in a new one.

    Parameters
    ----------
    old_ids : tuple of int
        Id of every old component.
    descents : tuple of Descent
        One for every new component, in order.
    flow : ndarray of shape (n_old, n_new)
        Weight of the rows that went from each old component to each new one. Sums over rows and columns are the
        components' own; rows stay with a matched component as far as both claim them.
    """

    old_ids: tuple[int, ...]
    descents: tuple[Descent, ...]
    flow: FloatArray

    @property
    def segment_ids(self) -> tuple[int, ...]:
        """Id of every new component."""
        return tuple(descent.segment_id for descent in self.descents)

    @property
    def ended(self) -> tuple[int, ...]:
        """Old ids that no new component has, in the old order; `departures` says where their rows went."""
        return tuple(old for old in self.old_ids if old not in self.segment_ids)

    @property
    def fates(self) -> tuple[Fate, ...]:
        """What became of every old component: one that lost its id was split, went into a merged one, or else died."""
        swallowed = {old for parts in self.merges.values() for old in parts}
        return tuple(
            "kept"
            if old in self.segment_ids
            else "split"
            if old in self.splits
            else "merged"
            if old in swallowed
            else "died"
            for old in self.old_ids
        )

    @property
    def departures(self) -> FloatArray:
        """Share of each old component's rows in each new one, shape (n_old, n_new); zeros where it had none."""
        return _shares(self.flow, axis=1)

    @property
    def arrivals(self) -> FloatArray:
        """Share of each new component's rows from each old one, shape (n_old, n_new); zeros where it has none."""
        return _shares(self.flow, axis=0)

    @property
    def splits(self) -> dict[int, tuple[int, ...]]:
        """For every old id that was split, the new ids with more than 0.3 of its rows."""
        return _large_parts(self.departures, self.old_ids, self.segment_ids)

    @property
    def merges(self) -> dict[int, tuple[int, ...]]:
        """For every new id that merges old ones, those that gave more than 0.3 of its rows."""
        return _large_parts(self.arrivals.T, self.segment_ids, self.old_ids)

    def permuted(self, order: Sequence[int]) -> Alignment:
        """Return the same with the components of the new mixture in another order."""
        return Alignment(
            old_ids=self.old_ids,
            descents=tuple(self.descents[position] for position in order),
            flow=self.flow[:, list(order)],
        )


def align(
    old: FloatArray,
    new: FloatArray,
    old_ids: Sequence[int],
    *,
    greatest_id: int,
    weights: FloatArray | None = None,
) -> Alignment:
    """Give every component of a new mixture the id of the old one that it continues, or a fresh id.

    The matches are those of greatest total overlap among pairs that overlap by 0.5 at least (Kuhn 1955, as
    `scipy.optimize.linear_sum_assignment`); of equally good ones, those that leave most components in their places.
    Fresh ids go to the heaviest new component first, of equally heavy ones to the one that stands first.

    Parameters
    ----------
    old, new : ndarray of shape (n_old, n_rows) and (n_new, n_rows)
        Responsibilities of both mixtures for the same rows.
    old_ids : sequence of int
        Stable ids of the old components.
    greatest_id : int
        The greatest id that was ever given; fresh ones follow it.
    weights : ndarray of shape (n_rows,), optional
        Row weights; None means one each.

    Raises
    ------
    InvalidInputError
        Shapes, ids or values cannot be as given.
    EmptyDataError
        There is no row of positive weight to compare by.

    Examples
    --------
    >>> old = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> new = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    >>> align(old, new, [4, 2], greatest_id=7).segment_ids
    (8, 2, 4)
    """
    rows = np.ones(np.shape(old)[-1]) if weights is None else np.asarray(weights, dtype=np.float64)
    _require_comparable(old, new, rows)
    _require_ids(old_ids, len(old), greatest_id)
    overlaps = jaccard_overlaps(old, new, rows)
    matched = _matches(overlaps)
    flow = _flow(old, new, rows, matched)
    return Alignment(
        old_ids=tuple(int(own) for own in old_ids),
        descents=_descents(flow, overlaps, matched, [int(own) for own in old_ids], greatest_id),
        flow=flow,
    )


def jaccard_overlaps(old: FloatArray, new: FloatArray, weights: FloatArray) -> FloatArray:
    """Return Σ w·min(r, r′) / Σ w·max(r, r′) for every pair, shape (n_old, n_new); 0 for two empty ones.

    The Jaccard index of fuzzy sets (Ruzicka 1958), rounded to nine decimals.

    Parameters
    ----------
    old, new : ndarray of shape (n_old, n_rows) and (n_new, n_rows)
    weights : ndarray of shape (n_rows,)
    """
    shared = np.array([(np.minimum(own, new) * weights).sum(axis=1) for own in old])
    together = (old * weights).sum(axis=1)[:, None] + (new * weights).sum(axis=1) - shared
    overlaps = np.divide(shared, together, out=np.zeros_like(shared), where=together > 0)
    return np.asarray(np.round(overlaps, DECIMALS))


def _matches(overlaps: FloatArray) -> NDArray[np.intp]:
    """Return the old component that each new one continues, or -1, shape (n_new,)."""
    n_old, n_new = overlaps.shape
    # Only pairs that may match take part: two weak overlaps must not outbid one that counts.
    counted = np.where(overlaps >= SMALLEST_MATCH, overlaps, 0.0)
    # Together these are less than the last decimal of an overlap, so they decide between equals alone.
    in_place = np.eye(n_old, n_new) * 10.0**-DECIMALS / (4 * n_old)
    matched = np.full(n_new, -1)
    for row, column in zip(*linear_sum_assignment(counted + in_place, maximize=True), strict=True):
        if counted[row, column] > 0:
            matched[column] = row
    return matched


def _flow(old: FloatArray, new: FloatArray, weights: FloatArray, matched: NDArray[np.intp]) -> FloatArray:
    """Couple the two mixtures row by row.

    What a component and its match both claim stays; the rest goes from the old claims left over to the new ones left
    over, in proportion: a maximal coupling of the two distributions (Lindvall 2002, section I.5).
    """
    flow = np.zeros((len(old), len(new)))
    old_left, new_left = old.astype(np.float64), new.astype(np.float64)
    for column in np.flatnonzero(matched >= 0):
        row = matched[column]
        kept = np.minimum(old[row], new[column])
        old_left[row] -= kept
        new_left[column] -= kept
        flow[row, column] = (kept * weights).sum()
    scaled = _shares(new_left, axis=0) * weights
    return np.asarray(flow + np.array([(own * scaled).sum(axis=1) for own in old_left]))


def _descents(
    flow: FloatArray, overlaps: FloatArray, matched: NDArray[np.intp], old_ids: list[int], greatest_id: int
) -> tuple[Descent, ...]:
    arrivals, departures = _shares(flow, axis=0), _shares(flow, axis=1)
    divided = (departures > LARGE_PART).sum(axis=1) > 1
    fresh = _fresh_ids(flow, matched, greatest_id)
    descents = []
    for column, own in enumerate(matched.tolist()):
        sources = np.flatnonzero(arrivals[:, column] > LARGE_PART)
        ranked = sorted(sources.tolist(), key=lambda row: (row != own, -round(arrivals[row, column], DECIMALS), row))
        parents, origin = _origin(own, ranked, divided & (departures[:, column] > LARGE_PART))
        descents.append(
            Descent(
                segment_id=fresh[column] if own < 0 else old_ids[own],
                origin=origin,
                predecessors=tuple(old_ids[row] for row in parents),
                overlap=float(overlaps[parents[0], column]) if parents else None,
            )
        )
    return tuple(descents)


def _origin(own: int, sources: list[int], split: NDArray[np.bool_]) -> tuple[list[int], Origin]:
    """Return the old components that a new one descends from, and the word for it."""
    if own >= 0:
        return [own, *(row for row in sources if row != own)], "kept"
    if len(sources) > 1:
        return sources, "merged"
    if sources and split[sources[0]]:
        return sources, "split"
    return [], "born"


def _fresh_ids(flow: FloatArray, matched: NDArray[np.intp], greatest_id: int) -> dict[int, int]:
    mass = np.round(flow.sum(axis=0) / flow.sum(), DECIMALS)
    heaviest_first = sorted(np.flatnonzero(matched < 0).tolist(), key=lambda column: (-mass[column], column))
    return {column: greatest_id + 1 + rank for rank, column in enumerate(heaviest_first)}


def _shares(flow: FloatArray, axis: int) -> FloatArray:
    whole = flow.sum(axis=axis, keepdims=True)
    return np.asarray(np.divide(flow, whole, out=np.zeros_like(flow), where=whole > 0))


def _large_parts(shares: FloatArray, whole: Sequence[int], parts: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return, for every row with two shares or more above the limit, the ids of these."""
    large = {own: np.flatnonzero(row > LARGE_PART).tolist() for own, row in zip(whole, shares, strict=True)}
    return {own: tuple(parts[part] for part in found) for own, found in large.items() if len(found) > 1}


def _require_comparable(old: FloatArray, new: FloatArray, weights: FloatArray) -> None:
    if old.ndim != 2 or new.ndim != 2 or not old.shape[1] == new.shape[1] == len(weights):
        raise InvalidInputError(
            f"Responsibilities of shapes {old.shape} and {new.shape} and {len(weights)} weights are not of the same rows;"
            " give (n_components, n_rows) of both mixtures for one set of rows."
        )
    for name, array in (("old", old), ("new", new), ("weights", weights)):
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise InvalidInputError(f"Mixtures cannot be aligned: {name} holds values that are negative or not finite.")
    if not weights.sum() > 0:
        raise EmptyDataError(
            f"Mixtures cannot be aligned on {len(weights)} rows without weight; give rows of the window."
        )


def _require_ids(old_ids: Sequence[int], n_old: int, greatest_id: int) -> None:
    if len(set(old_ids)) != n_old or len(old_ids) != n_old:
        raise InvalidInputError(f"ids {list(old_ids)} do not name {n_old} old components once each")
    if max(old_ids) > greatest_id:
        raise InvalidInputError(
            f"the greatest id ever given cannot be {greatest_id}: {max(old_ids)} is in use; an id is never given twice"
        )

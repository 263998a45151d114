"""The recipe: how raw columns become the numbers that are clustered; applied to any block, inverted, compared, stored.

Takes and gives plain arrays. What happens to one column is in `columns`; how a recipe is learned is in `learning`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.preparation.columns import CategoryColumn, Column, NumericColumn, column_of

VERSION = 2
Floats = NDArray[np.float64]


class RowStatus(IntEnum):
    """Whether a row can be scored, and if not, why; of several reasons the first of invalid, missing, unseen."""

    OK = 0
    MISSING = 1
    INVALID = 2
    UNSEEN = 3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is done to raw columns, one by one: impute, transform, scale, encode; rows that allow none of it are dropped.

    Columns that do not vary are left out, and come back with `invert`.

    Parameters
    ----------
    columns : tuple of NumericColumn or CategoryColumn
        In the order of the raw features.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.prepared_features:
            constant = [column.name for column in self.columns if column.constant]
            raise InvalidInputError(f"constant columns {constant} leave none of {list(self.features)}")
        for names in (self.features, self.prepared_features):
            twice = [name for number, name in enumerate(names) if name in names[:number]]
            if twice:
                raise InvalidInputError(f"the name {twice[0]!r} is there twice in a recipe; rename one of the columns")

    @classmethod
    def affine(
        cls, *, features: Sequence[str], centre: Sequence[float], scale: Sequence[float], constant: Sequence[str] = ()
    ) -> Self:
        """Make a recipe that only centres and scales: (x - centre) / scale.

        Parameters
        ----------
        features : sequence of str
        centre, scale : sequence of float
            One for each feature; a constant one has its value as centre.
        constant : sequence of str, default ()
            Features that are left out.
        """
        rows = zip(features, centre, scale, strict=True)
        unknown = [name for name in constant if name not in features]
        if unknown:
            raise InvalidInputError(f"constant columns {unknown} are not among {list(features)}")
        return cls(
            columns=tuple(
                NumericColumn(name=name, centre=float(middle), scale=float(spread), constant=name in constant)
                for name, middle, spread in rows
            )
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the raw columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def prepared_features(self) -> tuple[str, ...]:
        """Names of the rows that `apply` returns: those of numeric columns, and `name=category` for each category."""
        return tuple(name for column in self.columns for name in column.prepared_names)

    @cached_property
    def is_affine(self) -> bool:
        """Whether the recipe only centres and scales numbers: nothing is filled, transformed or encoded."""
        return all(column.is_affine for column in self._used_columns)

    @cached_property
    def centre(self) -> Floats:
        """What is subtracted from each column, shape (n_features,); 0 where it is a category."""
        return np.array([column.centre if isinstance(column, NumericColumn) else 0.0 for column in self.columns])

    @cached_property
    def scale(self) -> Floats:
        """What each column is then divided by, shape (n_features,); 1 where it is a category."""
        return np.array([column.scale if isinstance(column, NumericColumn) else 1.0 for column in self.columns])

    @cached_property
    def imputed(self) -> tuple[str, ...]:
        """Names of the columns whose missing cells are filled."""
        return tuple(column.name for column in self.columns if column.fill is not None)

    @cached_property
    def numeric_features(self) -> tuple[str, ...]:
        """Names of the columns that are numbers and are used."""
        return tuple(column.name for column in self._used_columns if isinstance(column, NumericColumn))

    @cached_property
    def is_linear(self) -> bool:
        """Whether all columns used are numbers and none is transformed: prepared values are raw ones, moved and scaled."""
        return not self._curved and len(self.numeric_features) == len(self._used)

    @cached_property
    def category_features(self) -> tuple[str, ...]:
        """Names of the columns that are categories; their raw values are `category_code` numbers."""
        return tuple(column.name for column in self.columns if isinstance(column, CategoryColumn))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides the prepared values."""
        return blake2b(json.dumps(self.to_parts()[1], sort_keys=True).encode(), digest_size=16).hexdigest()

    def status(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the `RowStatus` of each row.

        An infinite cell makes its row invalid, whether or not missing cells are filled; a missing one without a fill
        makes it missing; a category never met in training makes it unseen, unless such are ignored.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_rows)
        """
        codes = np.full(values.shape[1], RowStatus.OK, dtype=np.uint8)
        for column, row in self._rows(values):
            if isinstance(column, CategoryColumn):
                codes[column.is_unseen(column.filled(row)) & (codes == RowStatus.OK)] = RowStatus.UNSEEN
        required = [j for j in self._used if self.columns[j].fill is None]
        codes[np.isnan(values[required]).any(axis=0)] = RowStatus.MISSING
        codes[np.isinf(self._selected(values)).any(axis=0)] = RowStatus.INVALID
        return codes

    def kept(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which rows have the status OK, shape (n_rows,)."""
        if self.is_affine:
            return np.asarray(np.isfinite(self._selected(values)).all(axis=0))
        return np.equal(self.status(values), RowStatus.OK)

    def apply(self, values: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Prepare a block of rows.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_rows)
            Raw values, NaN where missing, `category_code` numbers where the column is a category.

        Returns
        -------
        prepared : ndarray of shape (n_prepared, n_kept), C-contiguous
        kept : ndarray of bool, shape (n_rows,)
            Rows whose status is OK.
        """
        if values.ndim != 2 or len(values) != len(self.features):
            raise InvalidInputError(f"values of shape {values.shape} do not fit {len(self.features)} features")
        kept = self.kept(values)
        if self.is_affine:
            used = self._selected(values)
            prepared = (used if kept.all() else used[:, kept]).astype(np.float64)
            prepared -= self.centre[self._used, None]
            prepared /= self.scale[self._used, None]
            return np.ascontiguousarray(prepared), kept
        rows = self._rows(values if kept.all() else values[:, kept])
        return np.concatenate([column.prepare(column.filled(row)) for column, row in rows]), kept

    def prepared_values(self, feature: str, values: Floats) -> Floats:
        """Return values of one numeric feature in prepared units; none may be missing."""
        (column,) = (column for column in self.columns if column.name == feature)
        return np.asarray(column.prepare(values)[0])

    def log_jacobian(self, values: NDArray[Any]) -> Floats:
        """Return what to add to the log density of each prepared row to have it per raw unit.

        The sum over numeric columns of log |d prepared / d raw|: -log(scale), and where there is an arcsinh also
        -log(spread) - ½·log(1 + ((x - middle) / spread)²); indicators add nothing; a filled cell counts at its fill.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_rows)
            Raw values.

        Returns
        -------
        ndarray of shape (n_kept,)
            For the rows whose status is OK.
        """
        kept = self.kept(values)
        total = np.full(np.count_nonzero(kept), self._linear_log_jacobian)
        if self._curved:
            block = values if kept.all() else values[:, kept]
            for number in self._curved:
                column, row = self.columns[number], block[number].astype(np.float64, copy=False)
                total += column.log_jacobian(column.filled(row))
        return total

    def invert(self, prepared: Floats) -> Floats:
        """Return raw values of shape (n_features, n_rows) for prepared ones of shape (n_prepared, n_rows).

        A filled cell comes back as its fill, a category as the code of its largest indicator.
        """
        raw = np.empty((len(self.features), prepared.shape[1]))
        start = 0
        for column, row in zip(self.columns, raw, strict=True):
            stop = start + len(column.prepared_names)
            row[:] = column.restore(prepared[start:stop])
            start = stop
        return raw

    def to_parts(self) -> tuple[dict[str, Floats], dict[str, Any]]:
        """Return arrays (none) and JSON-able facts from which `from_parts` makes an equal recipe."""
        return {}, {"version": VERSION, "columns": [column.to_document() for column in self.columns]}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Make a recipe from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version or are not those of a recipe.
        """
        _require_version(facts.get("version"))
        try:
            return cls(columns=tuple(column_of(document) for document in facts["columns"]))
        except (KeyError, TypeError) as error:
            raise InvalidInputError(
                f"this is no recipe ({type(error).__name__}: {error}); restore the bundle"
            ) from error

    def diff(self, other: Recipe) -> list[str]:
        """Return in sentences what is different in another recipe; none where both do the same.

        Examples
        --------
        >>> old = Recipe.affine(features=["amount"], centre=[0.0], scale=[3.2])
        >>> old.diff(Recipe.affine(features=["amount"], centre=[0.0], scale=[3.4]))
        ['amount: scale 3.2 -> 3.4']
        """
        return list(_differences(self, other))

    @cached_property
    def _used(self) -> list[int]:
        return [number for number, column in enumerate(self.columns) if not column.constant]

    @cached_property
    def _used_columns(self) -> tuple[Column, ...]:
        return tuple(self.columns[number] for number in self._used)

    @cached_property
    def _curved(self) -> tuple[int, ...]:
        return tuple(number for number in self._used if _is_curved(self.columns[number]))

    @cached_property
    def _linear_log_jacobian(self) -> float:
        columns = (column for column in self._used_columns if not _is_curved(column))
        scales = [column.scale for column in columns if isinstance(column, NumericColumn)]
        return -float(np.log(scales).sum())

    def _selected(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the raw rows that are used: without a copy where all are."""
        return values if len(self._used) == len(self.columns) else values[self._used]

    def _rows(self, values: NDArray[Any]) -> Iterator[tuple[Column, Floats]]:
        """Yield the columns that are used with their raw rows."""
        for number in self._used:
            yield self.columns[number], values[number].astype(np.float64, copy=False)


def _is_curved(column: Column) -> bool:
    return isinstance(column, NumericColumn) and column.transform != "none"


def _require_version(found: object) -> None:
    if found == VERSION:
        return
    told = f"the recipe has version {found}, and this gmmdask reads version {VERSION}"
    if isinstance(found, int) and found > VERSION:
        raise InvalidInputError(f"{told}: a newer gmmdask wrote it; install that one")
    raise InvalidInputError(
        f"{told}: an older gmmdask wrote it; train a new champion with --refit, or install that one"
    )


def _differences(old: Recipe, new: Recipe) -> Iterator[str]:
    before, after = ({column.name: column for column in recipe.columns} for recipe in (old, new))
    yield from (f"{name}: left out" for name in before if name not in after)
    yield from (f"{name}: new" for name in after if name not in before)
    shared = [name for name in before if name in after]
    for name in shared:
        yield from _changes(before[name].to_document(), after[name].to_document())
    if shared != [name for name in after if name in before]:
        yield f"order {', '.join(before)} -> {', '.join(after)}"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old["kind"] != new["kind"]:
        yield f"{old['name']}: {old['kind']} -> {new['kind']}"
        return
    for key in old:
        if key == "categories":
            yield from (f"{old['name']}: category {one!r} is gone" for one in old[key] if one not in new[key])
            yield from (f"{old['name']}: category {one!r} is new" for one in new[key] if one not in old[key])
        elif old[key] != new[key]:
            yield f"{old['name']}: {key.replace('_', ' ')} {_shown(old[key])} -> {_shown(new[key])}"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

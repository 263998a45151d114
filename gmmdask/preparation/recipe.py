"""The recipe: how raw columns become the numbers that are clustered, learned once, applied to any block, stored.

Takes and gives plain arrays. Reading rows and gathering moments happen elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError

VERSION = 1
Floats = NDArray[np.float64]
Scale = Literal["standard", "none"]
Missing = Literal["drop"]


class RowStatus(IntEnum):
    """Whether a row can be scored, and if not, why."""

    OK = 0
    MISSING = 1
    INVALID = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """What pass 0 knows of each column, over its values that are not missing.

    Parameters
    ----------
    features : tuple of str
        Names of the columns.
    count, mean, variance, minimum, maximum : ndarray of shape (n_features,)
        Variance with divisor `count`.
    """

    features: tuple[str, ...]
    count: NDArray[Any]
    mean: Floats
    variance: Floats
    minimum: Floats
    maximum: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """Scale columns and drop rows with a missing value.

    A prepared value is (x - centre) / scale; constant columns are left out, and come back with `invert`.

    Parameters
    ----------
    features : tuple of str
        Raw columns, in order.
    centre, scale : ndarray of shape (n_features,)
        Of all raw columns; a constant column has its value as centre.
    constant : tuple of str, default ()
        Raw columns that are not used because they do not vary.
    missing : {"drop"}
        What happens to a row with a missing value in a column that is used.
    """

    features: tuple[str, ...]
    centre: Floats
    scale: Floats
    constant: tuple[str, ...] = ()
    missing: Missing = "drop"

    def __post_init__(self) -> None:
        for name, values in (("centre", self.centre), ("scale", self.scale)):
            if values.shape != (len(self.features),) or not np.isfinite(values).all():
                raise InvalidInputError(f"{name} of a recipe for {list(self.features)} cannot be {values}")
        if not (self.scale > 0).all():
            raise InvalidInputError(f"the scales of a recipe must be positive, not {self.scale}")
        if not set(self.constant) < set(self.features):
            raise InvalidInputError(f"constant columns {list(self.constant)} leave none of {list(self.features)}")

    @classmethod
    def learn(cls, moments: Moments, *, scale: Scale = "standard", drop_constant: bool = False) -> Self:
        """Make a recipe from the moments of the training rows.

        Parameters
        ----------
        moments : Moments
            Of the raw columns.
        scale : {"standard", "none"}
            Mean zero and variance one, or as they are.
        drop_constant : bool, default False
            Leave constant columns out instead of refusing them.

        Raises
        ------
        EmptyDataError
            A column has no value at all.
        InvalidInputError
            A column is constant, or its moments are not finite.
        """
        _require_moments(moments)
        constant = _constant_columns(moments)
        if constant and not drop_constant:
            values = {name: float(moments.minimum[moments.features.index(name)]) for name in constant}
            raise InvalidInputError(f"columns without variation: {values}; leave them out or set drop_constant")
        fixed = np.isin(moments.features, constant)
        centre = moments.mean if scale == "standard" else np.zeros(len(moments.features))
        deviation = np.sqrt(moments.variance) if scale == "standard" else np.ones(len(moments.features))
        return cls(
            features=moments.features,
            centre=np.where(fixed, moments.minimum, centre),
            scale=np.where(fixed, 1.0, deviation),
            constant=constant,
        )

    @property
    def prepared_features(self) -> tuple[str, ...]:
        """Names of the rows that `apply` returns."""
        return tuple(name for name in self.features if name not in self.constant)

    @property
    def log_jacobian(self) -> float:
        """What to add to a log density of prepared values to have it per raw unit: the sum of -log(scale)."""
        return -float(np.log(self.scale[self._used]).sum())

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides the prepared values."""
        arrays, facts = self.to_parts()
        hashed = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
        for name in sorted(arrays):
            hashed.update(arrays[name].astype("<f8").tobytes())
        return hashed.hexdigest()

    def status(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the `RowStatus` of each row; infinite goes before missing.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_rows)
        """
        used = values[self._used]
        codes = np.full(values.shape[1], RowStatus.OK, dtype=np.uint8)
        codes[np.isnan(used).any(axis=0)] = RowStatus.MISSING
        codes[np.isinf(used).any(axis=0)] = RowStatus.INVALID
        return codes

    def apply(self, values: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Prepare a block of rows.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_rows)
            Raw values, NaN where missing.

        Returns
        -------
        prepared : ndarray of shape (n_prepared, n_kept), C-contiguous
        kept : ndarray of bool, shape (n_rows,)
            Rows whose status is OK.
        """
        if values.ndim != 2 or len(values) != len(self.features):
            raise InvalidInputError(f"values of shape {values.shape} do not fit {len(self.features)} features")
        used = values[self._used]
        kept = np.isfinite(used).all(axis=0)
        prepared = (used if kept.all() else used[:, kept]).astype(np.float64)
        prepared -= self.centre[self._used, None]
        prepared /= self.scale[self._used, None]
        return np.ascontiguousarray(prepared), kept

    def invert(self, prepared: Floats) -> Floats:
        """Return raw values of shape (n_features, n_rows) for prepared ones of shape (n_prepared, n_rows)."""
        raw = np.empty((len(self.features), prepared.shape[1]))
        raw[:] = self.centre[:, None]
        raw[self._used] += prepared * self.scale[self._used, None]
        return raw

    def to_parts(self) -> tuple[dict[str, Floats], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes an equal recipe."""
        facts = {
            "version": VERSION,
            "features": list(self.features),
            "constant": list(self.constant),
            "missing": self.missing,
        }
        return {"centre": self.centre, "scale": self.scale}, facts

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Make a recipe from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version or are not those of a recipe.
        """
        if facts.get("version") != VERSION or facts.get("missing") != "drop":
            raise InvalidInputError(
                f"a recipe of version {facts.get('version')} cannot be read; this is version {VERSION}"
            )
        return cls(
            features=tuple(facts["features"]),
            centre=np.asarray(arrays["centre"], dtype=np.float64),
            scale=np.asarray(arrays["scale"], dtype=np.float64),
            constant=tuple(facts["constant"]),
            missing=cast("Missing", facts["missing"]),
        )

    @cached_property
    def _used(self) -> NDArray[np.intp]:
        return np.flatnonzero(~np.isin(self.features, self.constant))


def _require_moments(moments: Moments) -> None:
    for number, name in enumerate(moments.features):
        if not moments.count[number] > 0:
            raise EmptyDataError(f"column {name!r} has no value in any row; leave it out")
        found = [values[number] for values in (moments.mean, moments.variance, moments.minimum, moments.maximum)]
        if not np.isfinite(found).all():
            raise InvalidInputError(
                f"column {name!r} has mean, variance, minimum and maximum {found}; write infinite values as missing"
            )


def _constant_columns(moments: Moments) -> tuple[str, ...]:
    # A variance that rounds to nothing cannot scale anything, even where minimum and maximum differ in a last bit.
    fixed = (moments.minimum == moments.maximum) | ~(moments.variance > np.finfo(np.float64).tiny)
    return tuple(name for name, is_fixed in zip(moments.features, fixed, strict=True) if is_fixed)

"""What a recipe does to one column: numbers are filled, transformed and scaled; categories become indicators.

A column knows its own row of raw values and its own rows of prepared ones; what happens to whole rows of data is decided
in `recipe`, and where the constants come from in `learning`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.preparation.codes import category_codes

Floats = NDArray[np.float64]
Transform = Literal["none", "arcsinh"]
FillRule = Literal["drop", "mean", "median", "mode", "constant"]
Unseen = Literal["drop", "ignore"]


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """A number: missing cells filled, then arcsinh, then (y - centre) / scale.

    Parameters
    ----------
    name : str
    fill : float, optional
        What a missing cell counts as, in raw units; None drops its row.
    fill_rule : {"drop", "mean", "median", "mode", "constant"}, default "drop"
        Where `fill` came from.
    transform : {"none", "arcsinh"}, default "none"
        y = x, or y = arcsinh((x - middle) / spread).
    middle, spread : float
        Of the transform; without one they mean nothing.
    centre, scale : float
        In units of y.
    constant : bool, default False
        Whether the column is left out because it does not vary; `centre` is then its value.
    """

    name: str
    fill: float | None = None
    fill_rule: FillRule = "drop"
    transform: Transform = "none"
    middle: float = 0.0
    spread: float = 1.0
    centre: float = 0.0
    scale: float = 1.0
    constant: bool = False

    def __post_init__(self) -> None:
        numbers = {"fill": self.fill or 0.0, "middle": self.middle, "spread": self.spread}
        numbers |= {"centre": self.centre, "scale": self.scale}
        for name, value in numbers.items():
            if not np.isfinite(value):
                raise InvalidInputError(f"{name} of column {self.name!r} in a recipe cannot be {value}")
        for name in ("scale", "spread"):
            if not numbers[name] > 0:
                raise InvalidInputError(
                    f"{name} of column {self.name!r} in a recipe must be positive, not {numbers[name]}"
                )
        if (self.fill is None) != (self.fill_rule == "drop"):
            raise InvalidInputError(f"column {self.name!r} in a recipe has fill {self.fill} by rule {self.fill_rule!r}")

    @property
    def prepared_names(self) -> tuple[str, ...]:
        """Names of its prepared rows: its own, or none where it is constant."""
        return () if self.constant else (self.name,)

    @property
    def is_affine(self) -> bool:
        """Whether only centre and scale matter: nothing is filled or transformed."""
        return self.fill is None and self.transform == "none"

    def filled(self, row: Floats) -> Floats:
        """Return the raw row with missing cells filled."""
        return row if self.fill is None else np.where(np.isnan(row), self.fill, row)

    def is_unseen(self, row: Floats) -> NDArray[np.bool_]:
        """Return which cells hold a category never met in training: a number never does."""
        return np.zeros(row.shape, dtype=bool)

    def prepare(self, row: Floats) -> Floats:
        """Return the prepared rows, shape (1, n_rows), of raw values without missing ones."""
        value = row if self.transform == "none" else np.arcsinh((row - self.middle) / self.spread)
        return np.asarray(((value - self.centre) / self.scale)[None])

    def restore(self, prepared: Floats) -> Floats:
        """Return the raw row of prepared rows."""
        if self.constant:
            return np.full(prepared.shape[1], self.centre)
        value = self.centre + prepared[0] * self.scale
        return value if self.transform == "none" else np.asarray(self.middle + self.spread * np.sinh(value))

    def log_jacobian(self, row: Floats) -> Floats | float:
        """Return log |d prepared / d raw| for each raw value without missing ones.

        -log(scale), and for y = arcsinh(z), z = (x - middle) / spread, also -log(spread) - ½·log(1 + z²), which is
        -log(spread·hypot(1, z)) and does not overflow.
        """
        scaled = -float(np.log(self.scale))
        if self.transform == "none":
            return scaled
        z = (row - self.middle) / self.spread
        return np.asarray(scaled - float(np.log(self.spread)) - np.log(np.hypot(1.0, z)))

    def to_document(self) -> dict[str, Any]:
        """Return what JSON can hold of it, without loss."""
        return {"kind": "number", **vars(self)}


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """A category: one indicator (0 or 1) for each that was met in training. Raw values are `category_code` numbers.

    Parameters
    ----------
    name : str
    categories : tuple of str
        Each once, in the order of their names. A single one is a constant column, and is left out.
    fill : str, optional
        The category that a missing cell counts as; None drops its row.
    unseen : {"drop", "ignore"}, default "drop"
        Whether a category never met in training drops its row, or leaves all indicators at 0.
    """

    name: str
    categories: tuple[str, ...]
    fill: str | None = None
    unseen: Unseen = "drop"

    def __post_init__(self) -> None:
        if not self.categories or list(self.categories) != sorted(set(self.categories)):
            raise InvalidInputError(
                f"categories of column {self.name!r} must be distinct and in order, not {list(self.categories)}"
            )
        codes, counts = np.unique(self._codes, return_counts=True)
        if (counts > 1).any():
            code = codes[counts > 1][0]
            same = [c for c, own in zip(self.categories, self._codes, strict=True) if own == code]
            raise InvalidInputError(f"categories {same} of column {self.name!r} have the same code; rename one of them")

    @property
    def constant(self) -> bool:
        """Whether the column is left out because it has a single category."""
        return len(self.categories) == 1

    @property
    def prepared_names(self) -> tuple[str, ...]:
        """Names of its indicators, such as `carrier=UA`; none where it is constant."""
        return () if self.constant else tuple(f"{self.name}={category}" for category in self.categories)

    @property
    def is_affine(self) -> bool:
        """Whether it is a number that is only centred and scaled: never."""
        return False

    def filled(self, row: Floats) -> Floats:
        """Return the raw row with missing cells filled by a code."""
        return row if self.fill is None else np.where(np.isnan(row), category_codes([self.fill])[0], row)

    def is_unseen(self, row: Floats) -> NDArray[np.bool_]:
        """Return which cells hold a category never met in training that is not ignored."""
        if self.unseen == "ignore":
            return np.zeros(row.shape, dtype=bool)
        return (self._positions(row) < 0) & ~np.isnan(row)

    def prepare(self, row: Floats) -> Floats:
        """Return the indicators, shape (n_categories, n_rows), of codes without missing ones."""
        indicators = np.zeros((len(self.categories), len(row)))
        positions = self._positions(row)
        known = np.flatnonzero(positions >= 0)
        indicators[positions[known], known] = 1.0
        return indicators

    def restore(self, prepared: Floats) -> Floats:
        """Return the code of the category of largest indicator; of equal ones, the first."""
        if self.constant:
            return np.full(prepared.shape[1], self._codes[0])
        return np.asarray(self._codes[prepared.argmax(axis=0)])

    def log_jacobian(self, row: Floats) -> Floats | float:
        """Return 0: an indicator has no density of its own."""
        return 0.0

    def to_document(self) -> dict[str, Any]:
        """Return what JSON can hold of it, without loss."""
        facts = {"name": self.name, "categories": list(self.categories), "fill": self.fill, "unseen": self.unseen}
        return {"kind": "category", **facts}

    @cached_property
    def _codes(self) -> Floats:
        return category_codes(self.categories)

    @cached_property
    def _by_code(self) -> NDArray[np.intp]:
        return np.argsort(self._codes, kind="stable")

    def _positions(self, row: Floats) -> NDArray[np.intp]:
        """Return the position of each code among the categories; -1 where it is none of them."""
        ordered = self._codes[self._by_code]
        nearest = np.minimum(np.searchsorted(ordered, row), len(ordered) - 1)
        return np.where(ordered[nearest] == row, self._by_code[nearest], -1)


Column = NumericColumn | CategoryColumn


def column_of(document: dict[str, Any]) -> Column:
    """Return the column of a document that `to_document` made; KeyError or TypeError where it is none."""
    facts = dict(document)
    kind = facts.pop("kind")
    if kind == "category":
        return CategoryColumn(**{**facts, "categories": tuple(facts["categories"])})
    if kind != "number":
        raise KeyError(f"kind {kind!r}")
    return NumericColumn(**facts)

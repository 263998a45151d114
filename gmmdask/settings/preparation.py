"""`[preparation]` of the settings file: what is asked for each feature, and which wishes contradict each other.

What becomes of a wish, the recipe, is learned and applied elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from gmmdask.settings.keys import Section

Scale = Literal["standard", "minmax", "none"]
RULES = ("drop", "mean", "median", "mode")
CATEGORY_RULES = ("drop", "mode")


def _number_or_text(value: Any) -> float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is neither a number nor one of {', '.join(RULES)}")
    return float(value)


def _number_or_rule(value: Any) -> float | str:
    """Read a number from the environment too, where everything is text."""
    if isinstance(value, str) and value not in RULES:
        try:
            return _number_or_text(float(value))
        except ValueError as error:
            raise ValueError(f"{value!r} is neither a number nor one of {', '.join(RULES)}") from error
    return _number_or_text(value)


class ColumnPreparation(Section):
    """`[preparation.columns.NAME]`: what is different for one feature; what is left out is as for all."""

    transform: Literal["none", "arcsinh"] | None = None
    scale: Scale | None = None
    missing: Annotated[float | str, BeforeValidator(_number_or_text)] | None = None

    def with_number(self) -> ColumnPreparation:
        """Return the same with a text that is a finite number as that number."""
        try:
            return self.model_copy(update={"missing": _number_or_rule(self.missing)} if self.missing else {})
        except ValueError:
            return self  # refused with the key's full name, by `require_features`


class Preparation(Section):
    """`[preparation]`: how columns become the numbers that are clustered."""

    scale: Scale = "standard"
    missing: Annotated[float | str, BeforeValidator(_number_or_rule)] = "drop"
    one_hot: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    unseen: Literal["drop", "ignore"] = "drop"
    drop_constant: bool = False
    columns: dict[str, ColumnPreparation] = Field(default_factory=dict)

    @field_validator("columns")
    @classmethod
    def _numbers_read(cls, columns: dict[str, ColumnPreparation], info: ValidationInfo) -> dict[str, ColumnPreparation]:
        """Read the numbers that the environment gives as text; a category keeps the text, which becomes one."""
        return {
            name: one if name in info.data.get("one_hot", ()) else one.with_number() for name, one in columns.items()
        }

    def of(self, feature: str) -> ColumnPreparation:
        """Return what is asked for a feature, every wish filled in."""
        own = self.columns.get(feature, ColumnPreparation())
        return ColumnPreparation(
            transform=own.transform or "none",
            scale=own.scale or self.scale,
            missing=self.missing if own.missing is None else own.missing,
        )

    def is_imputed(self, feature: str) -> bool:
        """Return whether a missing cell of a feature is filled."""
        return self.of(feature).missing != "drop"

    def require_features(self, features: Sequence[str]) -> None:
        """Raise ValueError where something is asked for that is no feature, or that cannot be done to it."""
        for name in self.columns:
            if name not in features:
                raise ValueError(
                    f"preparation.columns.{name}: {name!r} is not among the features ({', '.join(features)})"
                )
        for name in self.one_hot:
            if name not in features:
                raise ValueError(f"preparation.one_hot: {name!r} is not among the features ({', '.join(features)})")
            self._require_category(name)
        for name in features:
            missing = self.of(name).missing
            if name not in self.one_hot and isinstance(missing, str) and missing not in RULES:
                raise ValueError(
                    f"preparation.columns.{name}.missing = {missing!r}: a number is filled with a number, or by one of "
                    f"{', '.join(RULES)}; a text is for features in one_hot"
                )

    def _require_category(self, name: str) -> None:
        own = self.columns.get(name, ColumnPreparation())
        for key, wish in (("transform", own.transform), ("scale", own.scale)):
            if wish is not None:
                raise ValueError(
                    f"preparation.columns.{name}.{key}: {name!r} is in one_hot, and a category has no {key}"
                )
        missing = self.of(name).missing
        if not isinstance(missing, str) or (missing in RULES and missing not in CATEGORY_RULES):
            key = "missing" if own.missing is None else f"columns.{name}.missing"
            raise ValueError(
                f"preparation.{key} = {missing!r} cannot fill {name!r}, which is in one_hot: under "
                f'[preparation.columns.{name}] set missing to "drop", "mode", or a text that becomes a category'
            )

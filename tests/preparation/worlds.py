"""Random schemas: columns of every kind with every policy, rows that fit them, and what pass 0 would tell of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmmdask.preparation import (
    CategoryPolicy,
    Evidence,
    Moments,
    NumericPolicy,
    Policy,
    Recipe,
    Sample,
    category_code,
    learn_recipe,
)

NAMES = ("UA", "AA", "", "é, \u96ea", "NaN", "other", "a=b")
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Columns with their policies, and rows of them: numbers, or texts (None where missing)."""

    policies: Mapping[str, Policy]
    numbers: Mapping[str, Floats]
    texts: Mapping[str, tuple[str | None, ...]]

    @property
    def values(self) -> Floats:
        """The rows as a recipe takes them."""
        return np.array(
            [self.numbers[name] if name in self.numbers else coded(self.texts[name]) for name in self.policies]
        )

    @property
    def imputed(self) -> list[bool]:
        return [is_imputed(policy) for policy in self.policies.values()]

    def recipe(self, weights: Floats | None = None) -> Recipe:
        return learn_recipe(self.evidence(weights), self.policies, drop_constant=True)

    def evidence(self, weights: Floats | None = None) -> Evidence:
        """Return what pass 0 tells of the rows that train: those that miss only what will be filled."""
        values = self.values
        trains = ~np.isnan(values[~np.array(self.imputed)]).any(axis=0)
        rows = values[:, trains]
        mass = (np.ones(values.shape[1]) if weights is None else weights)[trains]
        categories = {name: {t for t, k in zip(texts, trains, strict=True) if k} for name, texts in self.texts.items()}
        return Evidence(
            moments=moments_of(tuple(self.policies), rows, mass),
            sample=Sample(values=rows, weights=mass),
            categories=categories,
        )


def is_imputed(policy: Policy) -> bool:
    if isinstance(policy, NumericPolicy):
        return policy.missing != "drop"
    return policy.fill_by_mode or policy.fill is not None


def coded(texts: tuple[str | None, ...]) -> Floats:
    return np.array([np.nan if text is None else category_code(text) for text in texts])


def moments_of(features: tuple[str, ...], rows: Floats, mass: Floats) -> Moments:
    """Return weighted moments over the cells that are there, column by column."""
    found = []
    for row in rows:
        there = ~np.isnan(row)
        w, x = mass[there], row[there]
        mean = float(w @ x / w.sum())
        found.append([w.sum(), mean, w @ (x - mean) ** 2 / w.sum(), x.min(), x.max(), mass.sum() - w.sum()])
    count, mean_, variance, minimum, maximum, missing = np.array(found).T
    return Moments(
        features=features,
        count=count,
        mean=mean_,
        variance=variance,
        minimum=minimum,
        maximum=maximum,
        missing=missing,
    )


NUMERIC = st.builds(
    NumericPolicy,
    scale=st.sampled_from(["standard", "minmax", "none"]),
    missing=st.sampled_from(["drop", "mean", "median", "mode", -1.5, 0.0]),
    transform=st.sampled_from(["none", "arcsinh"]),
)
CATEGORIES = st.one_of(
    st.builds(
        CategoryPolicy, fill=st.sampled_from([None, "unknown", "UA"]), unseen=st.sampled_from(["drop", "ignore"])
    ),
    st.just(CategoryPolicy(fill_by_mode=True)),
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """One to five columns, the first a number; the first two rows complete and different in every column."""
    kinds = [NUMERIC, *draw(st.lists(st.sampled_from([NUMERIC, CATEGORIES]), max_size=4))]
    policies: dict[str, Policy] = {f"c{number}": draw(kind) for number, kind in enumerate(kinds)}
    n = draw(st.integers(2, 12))
    numbers, texts = {}, {}
    for name, policy in policies.items():
        holes = [False, False, *draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))]
        if isinstance(policy, NumericPolicy):
            size, place = draw(st.sampled_from([1e-3, 1.0, 1e5])), draw(st.sampled_from([0.0, -20.0, 1e4]))
            drawn = [-3.5, 3.5, *draw(st.lists(st.floats(-3, 3), min_size=n - 2, max_size=n - 2))]
            numbers[name] = np.where(holes, np.nan, np.array(drawn) * size + place)
        else:
            drawn_texts = ["UA", "AA", *draw(st.lists(st.sampled_from(NAMES), min_size=n - 2, max_size=n - 2))]
            texts[name] = tuple(None if hole else text for hole, text in zip(holes, drawn_texts, strict=True))
    return Schema(policies=policies, numbers=numbers, texts=texts)

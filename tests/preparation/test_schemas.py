"""Recipes for random schemas: filled, transformed, scaled and encoded as loops over cells say, invertible, and stored whole."""

from __future__ import annotations

import json
import math
import pickle
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.preparation import (
    CategoryColumn,
    CategoryPolicy,
    Evidence,
    NumericColumn,
    NumericPolicy,
    Recipe,
    RowStatus,
    category_code,
    columns,
    learn_recipe,
)
from gmmdask.preparation.learning import MOST_CATEGORIES, weighted_quantile
from tests.preparation.worlds import NAMES, Schema, coded, moments_of, schemas

Floats = NDArray[np.float64]


def prepared_by_hand(recipe: Recipe, row: Floats) -> list[float] | None:
    """Return one prepared row cell by cell, in Python's own numbers; None where it is dropped."""
    prepared: list[float] = []
    for column, cell in zip(recipe.columns, row.tolist(), strict=True):
        if column.constant:
            continue
        if math.isinf(cell):
            return None
        if isinstance(column, CategoryColumn):
            codes = {category_code(category): category for category in (*column.categories, "unknown", *NAMES)}
            text = column.fill if math.isnan(cell) else codes.get(cell, "?")
            if text is None or (text not in column.categories and column.unseen == "drop"):
                return None
            prepared += [float(text == category) for category in column.categories]
            continue
        if math.isnan(cell) and column.fill is None:
            return None
        value = column.fill if math.isnan(cell) else cell
        if column.transform == "arcsinh":
            value = math.asinh((value - column.middle) / column.spread)
        prepared.append((value - column.centre) / column.scale)
    return prepared


@given(schema=schemas())
def test_rows_are_prepared_as_a_loop_over_their_cells_says(schema: Schema) -> None:
    """Which rows are kept exactly, values to rounding."""
    recipe, values = schema.recipe(), schema.values
    expected = [prepared_by_hand(recipe, row) for row in values.T]
    prepared, kept = recipe.apply(values)
    assert kept.tolist() == [row is not None for row in expected]
    np.testing.assert_allclose(prepared.T, [row for row in expected if row is not None], rtol=1e-12, atol=1e-12)
    assert prepared.flags.c_contiguous
    assert len(prepared) == len(recipe.prepared_features)


@given(schema=schemas())
def test_no_row_that_trains_is_dropped(schema: Schema) -> None:
    recipe, values = schema.recipe(), schema.values
    required = [j for j, imputed in enumerate(schema.imputed) if not imputed and not recipe.columns[j].constant]
    assert recipe.apply(values)[1].tolist() == (~np.isnan(values[required])).all(axis=0).tolist()


@given(schema=schemas())
def test_invert_brings_back_the_filled_raw_values(schema: Schema) -> None:
    """Codes exactly (of known categories); numbers to 1e-9 of the column's largest magnitude, for arcsinh and back."""
    recipe, values = schema.recipe(), schema.values
    prepared, kept = recipe.apply(values)
    back = recipe.invert(prepared)
    for column, raw, restored in zip(recipe.columns, values[:, kept], back, strict=True):
        if isinstance(column, CategoryColumn):
            filled = np.where(np.isnan(raw), category_code(column.fill or ""), raw)
            known = np.isin(filled, [category_code(category) for category in column.categories])
            if not column.constant:
                np.testing.assert_array_equal(restored[known], filled[known])
        elif not column.constant:
            filled = np.where(np.isnan(raw), column.fill or 0.0, raw)
            assert (np.abs(restored - filled) <= 1e-9 * np.abs(filled).max(initial=1e-300)).all()


NEARLY_ONE_VALUE = Schema(
    policies={"x": NumericPolicy(transform="arcsinh")},
    numbers={"x": np.array([-0.0035, 0.0035, 0.0, 0.0, 1.8e-311])},
    texts={},
)
"""The middle half of these rows has a spread by which nothing can be divided."""


@given(schema=schemas())
@example(schema=NEARLY_ONE_VALUE)
def test_scaled_columns_have_the_moments_or_ends_that_were_asked_for(schema: Schema) -> None:
    """Over the rows that train, to rounding."""
    recipe = schema.recipe()
    rows = schema.evidence().sample
    assert rows is not None
    prepared = dict(zip(recipe.prepared_features, recipe.apply(rows.values)[0], strict=True))
    for name, policy in schema.policies.items():
        if name in prepared and isinstance(policy, NumericPolicy):
            found = prepared[name]
            if policy.scale == "minmax":
                np.testing.assert_allclose([found.min(), found.max()], [0, 1], atol=1e-9)
            if policy.scale == "standard":
                np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-7)


@given(schema=schemas(), data=st.data())
def test_the_log_jacobian_is_that_of_numerical_differentiation(schema: Schema, data: st.DataObject) -> None:
    """Central differences of every numeric cell, relative error 1e-5."""
    recipe, values = schema.recipe(), schema.values
    _, kept = recipe.apply(values)
    row = values[:, data.draw(st.sampled_from(np.flatnonzero(kept).tolist()))]
    expected = 0.0
    for j, column in enumerate(recipe.columns):
        if isinstance(column, NumericColumn) and not column.constant:
            at = row[j] if column.fill is None or not np.isnan(row[j]) else column.fill
            step = 1e-4 * (
                math.hypot(column.spread, at - column.middle) if column.transform == "arcsinh" else column.scale
            )
            place = recipe.prepared_features.index(column.name)
            ends = np.repeat(np.where(np.arange(len(row)) == j, at, row)[:, None], 2, axis=1)
            ends[j] += [-step, step]
            low, high = recipe.apply(ends)[0][place]
            expected += math.log((high - low) / (ends[j, 1] - ends[j, 0]))
    assert recipe.log_jacobian(row[:, None]) == pytest.approx([expected], abs=1e-5 * (1 + len(row)))
    assert len(recipe.log_jacobian(values)) == kept.sum()


def test_the_log_jacobian_of_a_row_far_out_does_not_overflow() -> None:
    """-log(|z|·spread·scale) for |z| so large that its square is infinite."""
    column = NumericColumn(name="x", transform="arcsinh", spread=2.0, scale=4.0)
    (found,) = Recipe(columns=(column,)).log_jacobian(np.array([[1e200]]))
    assert found == pytest.approx(-math.log(4) - math.log(1e200), rel=1e-14)


@given(schema=schemas())
def test_parts_come_back_equal_through_json(schema: Schema) -> None:
    """Bits: every number."""
    recipe = schema.recipe()
    arrays, facts = recipe.to_parts()
    again = Recipe.from_parts(arrays, json.loads(json.dumps(facts)))
    assert (arrays, again, again.fingerprint) == ({}, recipe, recipe.fingerprint)
    assert again.diff(recipe) == recipe.diff(again) == []
    assert again.apply(schema.values)[0].tobytes() == recipe.apply(schema.values)[0].tobytes()
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(schema=schemas(), data=st.data())
def test_a_status_is_the_first_of_invalid_missing_and_unseen(schema: Schema, data: st.DataObject) -> None:
    recipe, values = schema.recipe(), schema.values.copy()
    row = values[:, 0]
    used = [j for j, column in enumerate(recipe.columns) if not column.constant]
    spoilt = set()
    for j in used:
        column = recipe.columns[j]
        if isinstance(column, CategoryColumn):
            harm = data.draw(st.sampled_from(["", "missing", "unseen"]))
            row[j] = {"": row[j], "missing": np.nan, "unseen": category_code("never met")}[harm]
            if harm == "missing" and column.fill is not None:
                harm = "unseen" if column.fill not in column.categories else ""
            spoilt.add("" if harm == "unseen" and column.unseen == "ignore" else harm)
        else:
            harm = data.draw(st.sampled_from(["", "missing", "invalid"]))
            row[j] = {"": row[j], "missing": np.nan, "invalid": -np.inf}[harm]
            spoilt.add("" if harm == "missing" and column.fill is not None else harm)
    order = {"invalid": RowStatus.INVALID, "missing": RowStatus.MISSING, "unseen": RowStatus.UNSEEN, "": RowStatus.OK}
    expected = next(code for name, code in order.items() if name in spoilt)
    assert recipe.status(values)[0] == expected
    assert recipe.apply(values)[1][0] == (expected == RowStatus.OK)


def imputed_by_a_loop(cells: list[float], rule: str | float) -> float:
    """Return what scikit-learn's SimpleImputer documents, in exact fractions."""
    present = sorted(cell for cell in cells if not math.isnan(cell))
    if rule == "mean":
        return float(sum(map(Fraction, present)) / len(present))
    if rule == "median":
        half = len(present) // 2
        return present[half] if len(present) % 2 else (present[half - 1] + present[half]) / 2
    if rule == "mode":
        counts = Counter(present)
        return min(cell for cell in counts if counts[cell] == max(counts.values()))
    return float(rule)


@given(
    cells=st.lists(st.one_of(st.just(math.nan), st.integers(-3, 3).map(float)), min_size=3, max_size=20),
    rule=st.sampled_from(["mean", "median", "mode", 7.5]),
)
def test_missing_cells_are_filled_as_a_loop_over_the_present_ones_says(cells: list[float], rule: Any) -> None:
    """To rounding, against exact fractions."""
    assume(len({cell for cell in cells if not math.isnan(cell)}) > 1)
    schema = Schema(policies={"x": NumericPolicy(missing=rule)}, numbers={"x": np.array(cells)}, texts={})
    (column,) = schema.recipe().columns
    assert column.fill == pytest.approx(imputed_by_a_loop(cells, rule), rel=1e-14, abs=1e-14)


@given(
    values=st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=8),
    data=st.data(),
    quantile=st.sampled_from([0.25, 0.5, 0.75]),
)
def test_a_whole_weight_counts_as_that_many_rows(values: list[float], data: st.DataObject, quantile: float) -> None:
    """Exactly, against NumPy on the repeated rows."""
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    expected = np.quantile(np.repeat(values, times), quantile, method="averaged_inverted_cdf")
    assert weighted_quantile(np.array(values), np.array(times, dtype=float), quantile) == expected


@given(schema=schemas(), data=st.data())
def test_a_recipe_of_weighted_rows_is_that_of_repeated_ones(schema: Schema, data: st.DataObject) -> None:
    """To rounding, every number of every column."""
    n = schema.values.shape[1]
    times = np.array(data.draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)))
    repeated = Schema(
        policies=schema.policies,
        numbers={name: np.repeat(row, times) for name, row in schema.numbers.items()},
        texts={
            name: tuple(t for t, k in zip(row, times, strict=True) for _ in range(k))
            for name, row in schema.texts.items()
        },
    )
    weighted, expected = schema.recipe(times.astype(float)).columns, repeated.recipe().columns
    for one, other in zip(weighted, expected, strict=True):
        for key, value in one.to_document().items():
            if isinstance(value, float):
                assert value == pytest.approx(other.to_document()[key], rel=1e-9, abs=1e-9), key
            else:
                assert value == other.to_document()[key]


def test_categories_are_in_the_order_of_their_names_and_keep_the_place_of_their_column() -> None:
    policies = {"a": NumericPolicy(), "carrier": CategoryPolicy(), "b": NumericPolicy()}
    numbers = {"a": np.array([1.0, 2.0, 4.0]), "b": np.array([3.0, 2.0, 9.0])}
    recipe = Schema(policies=policies, numbers=numbers, texts={"carrier": ("UA", "AA", "DL")}).recipe()
    assert recipe.prepared_features == ("a", "carrier=AA", "carrier=DL", "carrier=UA", "b")
    assert recipe.features == ("a", "carrier", "b")
    assert recipe.category_features == ("carrier",)


def test_a_mean_between_indicators_comes_back_as_the_most_probable_category() -> None:
    recipe = Recipe(columns=(CategoryColumn(name="c", categories=("x", "y", "z")),))
    back = recipe.invert(np.array([[0.2, 0.4], [0.5, 0.4], [0.3, 0.2]]))
    assert back.tolist() == [[category_code("y"), category_code("x")]]


def test_two_categories_of_one_code_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "category_codes", lambda names: np.ones(len(names)))
    with pytest.raises(InvalidInputError, match=r"\['x', 'y'\] of column 'c' have the same code"):
        CategoryColumn(name="c", categories=("x", "y"))


def test_a_column_of_too_many_categories_is_refused_with_what_to_do() -> None:
    names = [str(number) for number in range(MOST_CATEGORIES + 1)]
    values = coded(tuple(names))
    evidence = Evidence(moments=moments_of(("c",), values[None], np.ones(len(names))), categories={"c": names})
    with pytest.raises(InvalidInputError, match=r"column 'c' has 201 categories.*put it under describe"):
        learn_recipe(evidence, {"c": CategoryPolicy()})


def test_a_single_category_does_not_vary() -> None:
    schema = Schema(
        policies={"x": NumericPolicy(), "c": CategoryPolicy()},
        numbers={"x": np.array([1.0, 2.0])},
        texts={"c": ("UA", "UA")},
    )
    with pytest.raises(InvalidInputError, match=r"columns without variation: \{'c': 'UA'\}"):
        learn_recipe(schema.evidence(), schema.policies)
    assert schema.recipe().prepared_features == ("x",)
    assert schema.recipe().invert(np.zeros((1, 1)))[1].tolist() == [category_code("UA")]


def test_a_column_with_no_value_in_the_sample_is_refused_by_name() -> None:
    schema = Schema(policies={"x": NumericPolicy(missing="median")}, numbers={"x": np.array([1.0, 2.0])}, texts={})
    evidence = schema.evidence()
    assert evidence.sample is not None
    evidence.sample.values[:] = np.nan
    with pytest.raises(EmptyDataError, match="'x' has a value in none of the 2 rows of the sample"):
        learn_recipe(evidence, schema.policies)


def test_names_that_would_be_there_twice_are_refused() -> None:
    indicator = CategoryColumn(name="a", categories=("b", "c"))
    with pytest.raises(InvalidInputError, match="'a=b' is there twice"):
        Recipe(columns=(indicator, NumericColumn(name="a=b")))


def test_a_diff_says_what_changed_in_sentences() -> None:
    old = Recipe(
        columns=(
            NumericColumn(name="amount", scale=3.2),
            CategoryColumn(name="carrier", categories=("AA", "UA")),
            NumericColumn(name="age"),
        )
    )
    new = Recipe(
        columns=(
            CategoryColumn(name="carrier", categories=("AA", "DL"), unseen="ignore"),
            NumericColumn(name="amount", scale=3.4, fill=1.0, fill_rule="median"),
            NumericColumn(name="height"),
        )
    )
    assert old.diff(new) == [
        "age: left out",
        "height: new",
        "amount: fill None -> 1",
        "amount: fill rule drop -> median",
        "amount: scale 3.2 -> 3.4",
        "carrier: category 'UA' is gone",
        "carrier: category 'DL' is new",
        "carrier: unseen drop -> ignore",
        "order amount, carrier, age -> carrier, amount, height",
    ]
    assert old.diff(Recipe(columns=(old.columns[0], NumericColumn(name="carrier"), old.columns[2]))) == [
        "carrier: category -> number"
    ]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"version": 1, "features": ["x"]}, "version 1.*an older gmmdask wrote it; train a new champion with --refit"),
        ({"version": 3, "columns": []}, "version 3.*a newer gmmdask wrote it; install that one"),
        ({}, "version None"),
        ({"version": 2}, "no recipe"),
        ({"version": 2, "columns": [{"kind": "image", "name": "x"}]}, "no recipe.*image"),
        ({"version": 2, "columns": [{"kind": "number", "name": "x", "shape": 3}]}, "no recipe.*shape"),
    ],
)
def test_parts_of_other_versions_and_of_other_things_are_told_apart(facts: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        Recipe.from_parts({}, facts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0.0},
        {"spread": -1.0},
        {"centre": math.nan},
        {"fill": math.inf, "fill_rule": "constant"},
        {"fill": 1.0},
        {"fill_rule": "mean"},
    ],
)
def test_a_column_with_useless_numbers_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="column 'x' in a recipe"):
        NumericColumn(name="x", **wrong)


def test_codes_are_whole_numbers_that_float64_holds() -> None:
    """Also the code that is documented, from the digest itself."""
    codes = [category_code(name) for name in NAMES]
    assert all(code.is_integer() and 0 <= code < 2**52 for code in codes)
    assert len(set(codes)) == len(NAMES)

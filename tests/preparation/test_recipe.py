"""A recipe that centres and scales does what the formula says, comes back to the raw values, and refuses what it cannot scale."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.preparation import Evidence, Moments, NumericPolicy, Recipe, RowStatus, learn_recipe


def moments_of(values: NDArray[Any]) -> Moments:
    return Moments(
        features=tuple(f"f{number}" for number in range(len(values))),
        count=(~np.isnan(values)).sum(axis=1),
        mean=np.nanmean(values, axis=1),
        variance=np.nanvar(values, axis=1),
        minimum=np.nanmin(values, axis=1),
        maximum=np.nanmax(values, axis=1),
    )


def learned(values: NDArray[Any], scale: Any = "standard", drop_constant: bool = False) -> Recipe:
    policies = dict.fromkeys(moments_of(values).features, NumericPolicy(scale=scale))
    return learn_recipe(Evidence(moments=moments_of(values)), policies, drop_constant=drop_constant)


@st.composite
def blocks(draw: st.DrawFn) -> NDArray[np.float64]:
    """Columns of very different place and size, each with some spread, some cells missing or infinite."""
    d, n = draw(st.integers(1, 4)), draw(st.integers(2, 12))
    base = draw(arrays(np.float64, (d, n), elements=st.floats(-3, 3)))
    base[:, 0], base[:, 1] = -3.5, 3.5
    size = draw(arrays(np.float64, (d, 1), elements=st.floats(1e-3, 1e6)))
    place = draw(arrays(np.float64, (d, 1), elements=st.floats(-1e6, 1e6)))
    values: NDArray[np.float64] = base * size + place
    return values


@given(values=blocks(), scale=st.sampled_from(["standard", "minmax", "none"]))
def test_invert_undoes_apply(values: NDArray[np.float64], scale: Any) -> None:
    """To 1e-12 of the column's largest magnitude."""
    recipe = learned(values, scale)
    prepared, kept = recipe.apply(values)
    assert kept.all()
    largest = np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(recipe.invert(prepared) - values) <= 1e-12 * largest).all()


@given(values=blocks())
def test_the_rows_it_was_learned_from_have_mean_zero_and_variance_one(values: NDArray[np.float64]) -> None:
    """To rounding, which grows with the distance from zero in standard deviations."""
    prepared, _ = learned(values).apply(values)
    slack = 1e-13 * (1 + np.abs(values).max(axis=1) / values.std(axis=1))
    assert (np.abs(prepared.mean(axis=1)) <= slack).all()
    assert (np.abs(prepared.std(axis=1) - 1) <= slack).all()


@given(values=blocks(), data=st.data())
def test_rows_are_dropped_exactly_where_a_cell_is_missing_or_infinite(
    values: NDArray[np.float64], data: st.DataObject
) -> None:
    recipe = learned(values)
    whole, _ = recipe.apply(values)
    holes = data.draw(
        arrays(np.float64, values.shape, elements=st.sampled_from([0.0, 0.0, 0.0, np.nan, np.inf, -np.inf]))
    )
    broken = values + holes
    prepared, kept = recipe.apply(broken)
    expected = [all(np.isfinite(cell) for cell in row) for row in broken.T]
    assert kept.tolist() == expected
    np.testing.assert_array_equal(prepared, whole[:, kept])
    codes = [
        RowStatus.INVALID if np.isinf(row).any() else RowStatus.MISSING if np.isnan(row).any() else RowStatus.OK
        for row in broken.T
    ]
    assert recipe.status(broken).tolist() == codes
    assert prepared.flags.c_contiguous


def test_apply_leaves_its_argument_alone() -> None:
    values = np.array([[1.0, 2.0, 3.0]])
    before = values.copy()
    learned(values).apply(values)
    np.testing.assert_array_equal(values, before)


def test_single_precision_is_prepared_in_double_precision() -> None:
    values = np.array([[1.0, 2.0, 4.0]], dtype=np.float32)
    recipe = learned(values.astype(np.float64))
    prepared, _ = recipe.apply(values)
    np.testing.assert_array_equal(prepared, recipe.apply(values.astype(np.float64))[0])


def test_the_log_jacobian_turns_prepared_densities_into_raw_ones() -> None:
    """A Gaussian in raw units against the same one in prepared units; SciPy is the oracle. To rounding."""
    values = np.random.default_rng(3).normal(size=(3, 50)) * np.array([[0.01], [1.0], [300.0]]) + 5
    recipe = learned(values)
    prepared, _ = recipe.apply(values)
    raw_covariance, raw_mean = np.cov(values), values.mean(axis=1)
    raw = multivariate_normal(raw_mean, raw_covariance, allow_singular=False).logpdf(values.T)
    ours = multivariate_normal(prepared.mean(axis=1), np.cov(prepared)).logpdf(prepared.T) + recipe.log_jacobian(values)
    np.testing.assert_allclose(ours, raw, rtol=1e-10)


def test_a_constant_column_is_refused_by_name_and_value() -> None:
    values = np.array([[1.0, 2.0], [7.0, 7.0]])
    with pytest.raises(InvalidInputError, match=r"\{'f1': 7.0\}; leave them out or set drop_constant"):
        learned(values)


def test_a_dropped_constant_column_costs_no_row_and_no_density_and_comes_back() -> None:
    values = np.array([[1.0, 2.0, 4.0], [7.0, 7.0, np.nan]])
    recipe = learned(values, drop_constant=True)
    prepared, kept = recipe.apply(values)
    assert recipe.prepared_features == ("f0",)
    assert prepared.shape == (1, 3)
    assert kept.all()
    np.testing.assert_allclose(recipe.invert(prepared), [[1, 2, 4], [7, 7, 7]], rtol=1e-15)
    assert recipe.log_jacobian(values).tolist() == [-np.log(values[0].std())] * 3


def test_nothing_but_constant_columns_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="leave none"):
        learned(np.array([[7.0, 7.0]]), drop_constant=True)


def test_a_column_without_a_value_and_one_with_infinities_are_refused_by_name() -> None:
    moments = moments_of(np.array([[1.0, 2.0]]))
    empty = Moments(features=("gone",), count=np.array([0]), **_statistics(moments))
    with pytest.raises(EmptyDataError, match="'gone' has no value"):
        learn_recipe(Evidence(moments=empty))
    with np.errstate(invalid="ignore"), pytest.raises(InvalidInputError, match="'f0' has values from 1 to inf"):
        learned(np.array([[1.0, np.inf]]))


def test_parts_go_through_json_and_come_back_equal() -> None:
    values = np.array([[1.0, 2.0, 4.0], [7.0, 7.0, 7.0]])
    recipe = learned(values, drop_constant=True)
    stored, facts = recipe.to_parts()
    again = Recipe.from_parts(stored, json.loads(json.dumps(facts)))
    assert again.fingerprint == recipe.fingerprint == pickle.loads(pickle.dumps(recipe)).fingerprint
    np.testing.assert_array_equal(again.apply(values)[0], recipe.apply(values)[0])
    with pytest.raises(InvalidInputError, match="version 99"):
        Recipe.from_parts(stored, {**facts, "version": 99})


def test_the_fingerprint_follows_every_part() -> None:
    base = Recipe.affine(features=("a", "b"), centre=[0.0, 0.0], scale=[1.0, 1.0])
    others = [
        Recipe.affine(features=("a", "c"), centre=[0.0, 0.0], scale=[1.0, 1.0]),
        Recipe.affine(features=("a", "b"), centre=[0.0, 1e-300], scale=[1.0, 1.0]),
        Recipe.affine(features=("a", "b"), centre=[0.0, 0.0], scale=[1.0, 2.0]),
        Recipe.affine(features=("a", "b"), centre=[0.0, 0.0], scale=[1.0, 1.0], constant=("a",)),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_recipe_with_a_useless_scale_cannot_be_made(scale: float) -> None:
    with pytest.raises(InvalidInputError):
        Recipe.affine(features=("a",), centre=[0.0], scale=[scale])


def test_values_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\(2, 5\) do not fit 1 features"):
        Recipe.affine(features=("a",), centre=[0.0], scale=[1.0]).apply(np.zeros((2, 5)))


def _statistics(moments: Moments) -> dict[str, Any]:
    return {name: getattr(moments, name) for name in ("mean", "variance", "minimum", "maximum")}


@pytest.mark.parametrize("fill", [1e300, -1e200, 1.7e308])
def test_a_fill_too_far_from_the_values_is_refused_by_name(fill: float) -> None:
    moments = replace(moments_of(np.array([[1.0, 2.0, 4.0]])), missing=np.array([2.0]))
    with pytest.raises(
        InvalidInputError, match=rf"column 'f0' .* filled by {re.escape(f'{fill:g}')}.*overflows; choose"
    ):
        learn_recipe(Evidence(moments=moments), {"f0": NumericPolicy(missing=fill)})

"""The laws of sufficient statistics: how sums over parts make the sum over the whole."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import InconsistentStatisticsError
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.stack import Reference, Stack, compile_stack
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from tests.mixture.worlds import World, responsibilities, worlds


def compiled(world: World) -> Stack:
    d = len(world.values)
    return compile_stack(world.candidates, Reference(centre=np.full(d, 0.3), scale=np.full(d, 3.0)))


def parts_of(world: World, stack: Stack, cuts: list[int]) -> list[SufficientStatistics]:
    edges = [0, *sorted(min(c, world.values.shape[1]) for c in cuts), world.values.shape[1]]
    return [
        summarize(np.ascontiguousarray(world.values[:, a:b]), world.weights[a:b], stack, Coverage.of_leaf(0, i))
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    ]


def magnitudes(world: World, stack: Stack) -> np.ndarray:
    """A bound on Σ|terms| of every sum, from one row at a time."""
    rows = [
        summarize(np.ascontiguousarray(world.values[:, i : i + 1]), world.weights[i : i + 1], stack, Coverage())
        for i in range(world.values.shape[1])
    ]
    return reduce(lambda total, row: total + np.abs(row.sums), rows, np.zeros(stack.layout.size))


CUTS = st.lists(st.integers(0, 60), max_size=4)


@given(worlds(), CUTS)
def test_the_sum_of_parts_is_the_sum_of_the_whole(world: World, cuts: list[int]) -> None:
    """Equal to 1e-12 of Σ|terms| for any split, of no rows and of one row too; row counts exactly."""
    stack = compiled(world)
    whole = summarize(world.values, world.weights, stack, Coverage.of_leaf(0, 0))
    total = reduce(SufficientStatistics.combine, parts_of(world, stack, cuts))
    assert total.n_rows == whole.n_rows == world.values.shape[1]
    assert (np.abs(total.sums - whole.sums) <= 1e-12 * magnitudes(world, stack) + 1e-300).all()


@given(worlds(), CUTS)
def test_combining_is_commutative_to_the_bit_and_leaves_its_operands_alone(world: World, cuts: list[int]) -> None:
    stack = compiled(world)
    first, *others = parts_of(world, stack, [0, *cuts])
    other = reduce(SufficientStatistics.combine, others)
    before = first.sums.tobytes(), other.sums.tobytes()
    there, back = first.combine(other), other.combine(first)
    assert there.sums.tobytes() == back.sums.tobytes()
    assert there.coverage == back.coverage
    assert (first.sums.tobytes(), other.sums.tobytes()) == before


@given(worlds(min_rows=3))
def test_combining_is_associative_to_rounding(world: World) -> None:
    """Equal to 1e-12 of Σ|terms|."""
    stack = compiled(world)
    a, b, c = parts_of(world, stack, [1, 2])
    left, right = a.combine(b).combine(c), a.combine(b.combine(c))
    assert left.coverage == right.coverage
    assert (np.abs(left.sums - right.sums) <= 1e-12 * magnitudes(world, stack) + 1e-300).all()


@given(worlds())
def test_the_identity_changes_no_bit(world: World) -> None:
    stack = compiled(world)
    whole = summarize(world.values, world.weights, stack, Coverage.of_leaf(2, 5))
    nothing = SufficientStatistics.identity(stack.layout)
    for combined in (whole.combine(nothing), nothing.combine(whole)):
        assert combined.sums.tobytes() == whole.sums.tobytes()
        assert (combined.n_rows, combined.coverage) == (whole.n_rows, whole.coverage)


@given(worlds(min_rows=1))
def test_sums_are_those_of_a_loop_over_rows(world: World) -> None:
    """Likelihood, counts and mass against extended precision; to rounding."""
    stack = compiled(world)
    statistics = summarize(world.values, world.weights, stack, Coverage.of_leaf(0, 0))
    assert statistics.mass == pytest.approx(world.weights.sum(), rel=1e-14)
    for c, parameters in enumerate(world.candidates):
        r, densities = responsibilities(world.values, parameters)
        slack = 1e-9 * (1 + np.abs(densities) @ world.weights)
        assert abs(statistics.log_likelihoods[c] - densities @ world.weights) <= slack
        np.testing.assert_allclose(stack.moments(statistics, c).counts, r @ world.weights, rtol=1e-8, atol=1e-8)


@given(worlds(min_rows=2))
def test_a_row_of_weight_zero_is_absent(world: World) -> None:
    """Equal to the bit whatever the row holds, infinity and NaN included."""
    stack = compiled(world)
    world.weights[0] = 0.0
    poisoned = world.values.copy()
    poisoned[:, 0] = np.resize([np.inf, np.nan, 1e300], len(poisoned))
    clean = summarize(world.values, world.weights, stack, Coverage.of_leaf(0, 0))
    dirty = summarize(poisoned, world.weights, stack, Coverage.of_leaf(0, 0))
    assert clean.sums.tobytes() == dirty.sums.tobytes()


@given(worlds(min_rows=2))
def test_integer_weights_equal_repeated_rows(world: World) -> None:
    """To rounding: frequency weights."""
    stack = compiled(world)
    counts = (np.arange(world.values.shape[1]) % 3).astype(float)
    repeated = np.ascontiguousarray(np.repeat(world.values, counts.astype(int), axis=1))
    weighted = summarize(world.values, counts, stack, Coverage.of_leaf(0, 0))
    plain = summarize(repeated, None, stack, Coverage.of_leaf(0, 0))
    np.testing.assert_allclose(weighted.sums, plain.sums, rtol=1e-9, atol=1e-9)


def test_leaves_in_both_sums_refuse_to_add() -> None:
    one = Coverage(((0, 0, 3), (1, 0, 2)))
    with pytest.raises(InconsistentStatisticsError, match="Leaf 1 of partition 1"):
        one.union(Coverage(((1, 1, 2),)))


@given(st.permutations([(p, leaf) for p in range(3) for leaf in range(3)]), st.integers(0, 9))
def test_coverage_does_not_depend_on_the_order_of_union(leaves: list[tuple[int, int]], cut: int) -> None:
    """Runs merge to one a partition, however they were brought together."""
    ones = [Coverage.of_leaf(*leaf) for leaf in leaves]
    left, right = reduce(Coverage.union, ones[:cut], Coverage()), reduce(Coverage.union, ones[cut:], Coverage())
    assert left.union(right).runs == ((0, 0, 3), (1, 0, 3), (2, 0, 3))
    assert left.union(right).n_leaves == 9


@given(worlds(min_rows=1))
def test_sums_about_different_references_refuse_to_add(world: World) -> None:
    d = len(world.values)
    here = compiled(world)
    there = compile_stack(world.candidates, Reference(centre=np.full(d, 0.31), scale=np.full(d, 3.0)))
    first = summarize(world.values, None, here, Coverage.of_leaf(0, 0))
    second = summarize(world.values, None, there, Coverage.of_leaf(0, 1))
    with pytest.raises(InconsistentStatisticsError, match="different references"):
        first.combine(second)

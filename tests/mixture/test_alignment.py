"""Ids stay with the rows: permutations, splits, merges, births, deaths, other structures, and the plain definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.mixture.alignment import Alignment, align, jaccard_overlaps
from gmmdask.mixture.moves import drop_components, merge_components, split_component
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import DIAGONAL, FULL, STRUCTURES
from tests.mixture.worlds import random_mixture, responsibilities

SEEDS = st.integers(0, 2**32 - 1)


def memberships(random: np.random.Generator, k: int, n: int) -> np.ndarray:
    """Responsibilities of heavily overlapping components, some of them certain."""
    return np.ascontiguousarray(random.dirichlet(np.full(k, 0.4), size=n).T)


def hard(labels: list[int], k: int) -> np.ndarray:
    return np.ascontiguousarray(np.eye(k)[labels].T)


def kept_ids(alignment: Alignment) -> list[bool]:
    return [descent.origin == "kept" for descent in alignment.descents]


def far_apart(k: int, d: int = 2) -> tuple[MixtureParameters, np.ndarray]:
    """A mixture of separated components, and rows of it."""
    random = np.random.default_rng(k)
    mixture = MixtureParameters(
        structure=FULL,
        weights=np.arange(1, k + 1) / (k * (k + 1) / 2),
        means=np.arange(k)[:, None] * 12.0 + random.normal(size=(k, d)),
        covariances=np.array([np.eye(d) * (1 + 0.2 * i) for i in range(k)]),
    )
    labels = random.choice(k, size=1_500, p=mixture.weights)
    rows = mixture.means[labels] + random.normal(size=(1_500, d)) * np.sqrt(1 + 0.2 * labels)[:, None]
    return mixture, np.ascontiguousarray(rows.T)


def aligned(
    old: MixtureParameters, new: MixtureParameters, rows: np.ndarray, ids: list[int], greatest_id: int = 20
) -> Alignment:
    return align(responsibilities(rows, old)[0], responsibilities(rows, new)[0], ids, greatest_id=greatest_id)


@given(SEEDS, st.integers(1, 6), st.integers(1, 40))
def test_the_same_mixture_keeps_every_id_with_overlap_one(seed: int, k: int, n: int) -> None:
    """However much its components overlap with each other: exactly 1, and nothing flows."""
    random = np.random.default_rng(seed)
    old, ids = memberships(random, k, n), random.permutation(50)[:k].tolist()
    alignment = align(old, old.copy(), ids, greatest_id=50)
    assert alignment.segment_ids == tuple(ids)
    assert all(
        d.origin == "kept" and d.overlap == 1.0 and d.predecessors == (d.segment_id,) for d in alignment.descents
    )
    assert alignment.ended == ()
    np.testing.assert_allclose(alignment.flow, np.diag(old.sum(axis=1)), rtol=1e-12, atol=1e-12)


@given(SEEDS, st.integers(1, 5), st.integers(1, 5), st.integers(5, 40))
def test_permuting_the_new_components_permutes_what_is_said_of_them(seed: int, k: int, m: int, n: int) -> None:
    """The descents equal to the bit, the flow to rounding."""
    random = np.random.default_rng(seed)
    old, new, weights = memberships(random, k, n), memberships(random, m, n), random.choice([0.5, 1.0, 3.0], n)
    order = random.permutation(m)
    plain = align(old, new, range(k), greatest_id=k, weights=weights)
    permuted = align(old, np.ascontiguousarray(new[order]), range(k), greatest_id=k, weights=weights)
    assert permuted.descents == tuple(plain.descents[i] for i in order)
    np.testing.assert_allclose(permuted.flow, plain.flow[:, order], rtol=1e-9, atol=1e-12)


@given(SEEDS, st.integers(1, 5), st.integers(1, 5), st.integers(5, 40))
def test_permuting_the_old_components_with_their_ids_changes_no_id(seed: int, k: int, m: int, n: int) -> None:
    random = np.random.default_rng(seed)
    old, new, ids = memberships(random, k, n), memberships(random, m, n), random.permutation(9)[:k]
    order = random.permutation(k)
    plain = align(old, new, ids.tolist(), greatest_id=9)
    permuted = align(np.ascontiguousarray(old[order]), new, ids[order].tolist(), greatest_id=9)
    assert permuted.segment_ids == plain.segment_ids
    assert [d.origin for d in permuted.descents] == [d.origin for d in plain.descents]
    np.testing.assert_allclose(permuted.flow, plain.flow[order], rtol=1e-9, atol=1e-12)


@given(SEEDS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 30), st.integers(0, 100))
def test_ids_are_unique_and_fresh_ones_follow_the_greatest(seed: int, k: int, m: int, n: int, beyond: int) -> None:
    random = np.random.default_rng(seed)
    ids = random.permutation(20)[:k].tolist()
    alignment = align(memberships(random, k, n), memberships(random, m, n), ids, greatest_id=20 + beyond)
    given_ids = alignment.segment_ids
    fresh = sorted(own for own, kept in zip(given_ids, kept_ids(alignment), strict=True) if not kept)
    assert len(set(given_ids)) == m
    assert fresh == list(range(21 + beyond, 21 + beyond + len(fresh)))
    assert set(given_ids) - set(fresh) <= set(ids)
    assert set(alignment.ended) == set(ids) - set(given_ids)
    for descent in alignment.descents:
        assert set(descent.predecessors) <= set(ids)
        assert (descent.overlap is None) == (descent.predecessors == ()) == (descent.origin == "born")


@given(SEEDS, st.integers(1, 5), st.integers(1, 5), st.integers(1, 30))
def test_the_flow_is_a_coupling_in_which_a_match_loses_nothing_it_could_keep(seed: int, k: int, m: int, n: int) -> None:
    """To rounding: nothing negative; margins are the components' own weights; kept pairs hold Σ w·min(r, r′)."""
    random = np.random.default_rng(seed)
    old, new, weights = memberships(random, k, n), memberships(random, m, n), random.choice([0.0, 0.5, 2.0], n)
    weights[0] = 1.0
    alignment = align(old, new, range(k), greatest_id=k, weights=weights)
    assert (alignment.flow >= -1e-12).all()
    np.testing.assert_allclose(alignment.flow.sum(axis=1), old @ weights, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(alignment.flow.sum(axis=0), new @ weights, rtol=1e-9, atol=1e-9)
    for column, descent in enumerate(alignment.descents):
        if descent.origin == "kept":
            claimed = sum(min(old[descent.segment_id, i], new[column, i]) * weights[i] for i in range(n))
            assert alignment.flow[descent.segment_id, column] >= claimed - 1e-9


@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 20))
def test_overlaps_are_those_of_a_loop_and_no_other_matching_is_better(seed: int, k: int, m: int, n: int) -> None:
    """Overlaps to 1e-9; the total over matches against every possible matching."""
    random = np.random.default_rng(seed)
    old, new, weights = memberships(random, k, n), memberships(random, m, n), random.choice([1.0, 2.0], n)
    overlaps = jaccard_overlaps(old, new, weights)
    for i in range(k):
        for j in range(m):
            least = sum(w * min(r, s) for w, r, s in zip(weights, old[i], new[j], strict=True))
            most = sum(w * max(r, s) for w, r, s in zip(weights, old[i], new[j], strict=True))
            assert overlaps[i, j] == pytest.approx(least / most, abs=1e-9)
    counted = np.where(overlaps >= 0.5, overlaps, 0.0)
    wide = np.zeros((max(k, m), max(k, m)))
    wide[:k, :m] = counted
    best = max(sum(wide[i, j] for i, j in enumerate(order)) for order in permutations(range(len(wide))))
    alignment = align(old, new, range(k), greatest_id=k, weights=weights)
    assert sum(d.overlap for d in alignment.descents if d.origin == "kept") == pytest.approx(best, abs=1e-12)


@given(SEEDS, st.integers(2, 4))
def test_rows_of_integer_weight_count_as_often_as_they_say(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    old, new, weights = memberships(random, k, 25), memberships(random, k, 25), random.integers(0, 4, 25)
    weights[0] = 1
    weighted = align(old, new, range(k), greatest_id=k, weights=weights.astype(float))
    repeated = align(np.repeat(old, weights, axis=1), np.repeat(new, weights, axis=1), range(k), greatest_id=k)
    assert weighted.segment_ids == repeated.segment_ids
    np.testing.assert_allclose(weighted.flow, repeated.flow, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_permuted_mixture_is_recognised(order: tuple[int, ...]) -> None:
    old, rows = far_apart(3)
    alignment = aligned(old, old.permuted(list(order)), rows, [7, 3, 5])
    assert alignment.segment_ids == tuple([7, 3, 5][i] for i in order)
    by_id = alignment.permuted(np.argsort(alignment.segment_ids).tolist())
    assert by_id.segment_ids == (3, 5, 7)
    assert [d.predecessors for d in by_id.descents] == [(3,), (5,), (7,)]
    np.testing.assert_array_equal(by_id.departures.argmax(axis=1), [2, 0, 1])


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_a_change_of_structure_and_a_small_shift_keep_all_ids_in_place(structure) -> None:
    """Also what a warm start does: the order stays."""
    old, rows = far_apart(4)
    other = random_mixture(np.random.default_rng(0), structure, 4, 2)
    new = MixtureParameters(
        structure=structure, weights=old.weights, means=old.means + 0.3, covariances=np.abs(other.covariances)
    )
    alignment = aligned(old, new, rows, [4, 1, 9, 2])
    assert alignment.segment_ids == (4, 1, 9, 2)
    assert min(d.overlap for d in alignment.descents) > 0.9


def test_an_even_split_leaves_the_id_to_one_half_and_names_the_parent_of_the_other() -> None:
    """The first of two equal halves has an overlap of exactly one half, and that counts."""
    alignment = align(hard([0] * 4 + [1] * 4, 2), hard([0] * 2 + [1] * 2 + [2] * 4, 3), [3, 1], greatest_id=3)
    assert alignment.segment_ids == (3, 4, 1)
    assert [d.origin for d in alignment.descents] == ["kept", "split", "kept"]
    assert [d.predecessors for d in alignment.descents] == [(3,), (3,), (1,)]
    assert alignment.splits == {3: (3, 4)}
    assert alignment.merges == {}
    assert alignment.ended == ()


def test_a_component_cut_in_three_dies_and_its_thirds_descend_from_it() -> None:
    alignment = align(hard([0] * 9 + [1] * 3, 2), hard([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], 4), [3, 1], greatest_id=8)
    assert alignment.segment_ids == (9, 10, 11, 1)
    assert [d.origin for d in alignment.descents] == ["split", "split", "split", "kept"]
    assert alignment.ended == (3,)
    assert alignment.fates == ("split", "kept")
    np.testing.assert_allclose(alignment.departures[0], [1 / 3, 1 / 3, 1 / 3, 0])


def test_two_components_that_become_one_are_its_predecessors() -> None:
    """Six rows and four: the union keeps the id of the greater one; of three equal ones it keeps none."""
    alignment = align(hard([0] * 4 + [1] * 6 + [2] * 5, 3), hard([0] * 10 + [1] * 5, 2), [5, 2, 6], greatest_id=6)
    assert alignment.segment_ids == (2, 6)
    assert alignment.descents[0].origin == "kept"
    assert alignment.descents[0].predecessors == (2, 5)
    assert alignment.merges == {2: (5, 2)}
    assert alignment.ended == (5,)
    three = align(hard([0] * 3 + [1] * 3 + [2] * 3, 3), hard([0] * 9, 1), [5, 2, 6], greatest_id=6)
    assert three.descents[0].segment_id == 7
    assert three.descents[0].origin == "merged"
    assert three.descents[0].predecessors == (5, 2, 6)
    assert three.descents[0].overlap == pytest.approx(1 / 3)
    assert three.ended == (5, 2, 6)
    assert three.fates == ("merged", "merged", "merged")


def test_births_and_deaths_take_and_leave_ids_without_reusing_any() -> None:
    """A small part carved out of a big one is born; fresh ids go to the heavier component first."""
    old = hard([0] * 20 + [1] * 2, 2)
    new = hard([0] * 15 + [1] * 2 + [2] * 3 + [0] * 2, 3)
    alignment = align(old, new, [0, 1], greatest_id=40)
    assert alignment.segment_ids == (0, 42, 41)
    assert [d.origin for d in alignment.descents] == ["kept", "born", "born"]
    assert alignment.ended == (1,)
    assert alignment.fates == ("kept", "died")
    np.testing.assert_allclose(alignment.departures[1], [1, 0, 0])
    np.testing.assert_allclose(alignment.arrivals[:, 0], [15 / 17, 2 / 17])


@pytest.mark.parametrize("structure", [FULL, DIAGONAL], ids=lambda s: s.name)
def test_the_moves_of_the_mathematics_are_recognised(structure) -> None:
    """Split, merge and drop of real mixtures: three untouched components keep their ids whatever happens to the rest."""
    full, rows = far_apart(5)
    covariances = full.covariances if structure == FULL else np.array([np.diag(m) for m in full.covariances])
    old = MixtureParameters(structure=structure, weights=full.weights, means=full.means, covariances=covariances)
    ids = [11, 12, 13, 14, 15]
    split = aligned(old, split_component(old, 4), rows, ids)
    assert split.segment_ids[:4] == (11, 12, 13, 14)
    assert set(split.splits) == {15}
    assert split.segment_ids[4:] in {(15, 21), (21, 15), (21, 22), (22, 21)}
    merged = aligned(old, merge_components(old, 3, 4), rows, ids)
    assert merged.segment_ids == (11, 12, 13, 15)
    assert merged.merges == {15: (14, 15)}
    dropped = aligned(old, drop_components(old, np.array([False, True, False, False, False])), rows, ids)
    assert dropped.segment_ids == (11, 13, 14, 15)
    assert dropped.ended == (12,)


def test_components_that_overlap_heavily_are_still_themselves() -> None:
    """The product Σ r·r′ would give these identical components an overlap of a third, and fresh ids."""
    old = np.full((2, 10), 0.5)
    product = old @ old.T
    assert product[0, 0] / (2 * old[0].sum() - product[0, 0]) == pytest.approx(1 / 3)
    alignment = align(old, old, [2, 1], greatest_id=2)
    assert alignment.segment_ids == (2, 1), "of equal matches, that which leaves them in place"
    assert [d.overlap for d in alignment.descents] == [1.0, 1.0]


def test_a_component_without_rows_is_no_ones_descendant() -> None:
    new = np.vstack([hard([0, 0, 1], 2), np.zeros(3)])
    alignment = align(hard([0, 0, 1], 2), new, [1, 2], greatest_id=2)
    assert alignment.segment_ids == (1, 2, 3)
    assert alignment.descents[2].origin == "born"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"new": np.ones((1, 2))}, "not of the same rows"),
        ({"old": np.full((2, 3), np.nan)}, "old holds values that are negative or not finite"),
        ({"weights": np.array([1.0, -1.0, 1.0])}, "weights holds values that are negative"),
        ({"old_ids": [1, 1]}, "do not name 2 old components"),
        ({"old_ids": [1]}, "do not name 2 old components"),
        ({"greatest_id": 4}, "the greatest id ever given cannot be 4: 5 is in use"),
    ],
)
def test_input_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    good = {"old": hard([0, 0, 1], 2), "new": hard([0, 0, 1], 2), "old_ids": [5, 2], "greatest_id": 5, "weights": None}
    with pytest.raises(InvalidInputError, match=message):
        align(**{**good, **change})


def test_nothing_can_be_aligned_on_rows_without_weight() -> None:
    with pytest.raises(EmptyDataError, match="3 rows without weight"):
        align(hard([0, 0, 1], 2), hard([0, 0, 1], 2), [1, 2], greatest_id=2, weights=np.zeros(3))

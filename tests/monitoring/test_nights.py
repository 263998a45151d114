"""Windows of nights are sums, whatever the order in which the nights came."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask.errors import InconsistentStatisticsError, InvalidInputError
from gmmdask.mixture.stack import Reference
from gmmdask.monitoring import Champion, NightSums, total_gain
from tests.monitoring.worlds import QuietWorld, date_of, nights_of, quiet_world, summed


@cache
def ten_nights() -> QuietWorld:
    return quiet_world(n_nights=10)


@pytest.fixture(scope="module")
def world() -> QuietWorld:
    return ten_nights()


@settings(max_examples=30)
@given(st.permutations(range(10)))
def test_the_order_in_which_nights_arrive_changes_no_bit_of_a_window(order: list[int]) -> None:
    world = ten_nights()
    whole = nights_of(world.champion, world.training)
    arrived = NightSums.of(world.champion.stack.layout, {})
    for number in order:
        arrived = arrived.with_night(date_of(number + 1), summed(world.champion, world.training[number]))
    assert arrived.dates == whole.dates
    assert arrived.total().sums.tobytes() == whole.total().sums.tobytes()


def test_a_window_is_the_pass_over_all_its_rows(world: QuietWorld) -> None:
    """To rounding; G too."""
    window = nights_of(world.champion, world.training).between(date_of(3), date_of(7)).total()
    rows = summed(world.champion, np.hstack(world.training[2:7]))
    np.testing.assert_allclose(window.sums, rows.sums, rtol=1e-10, atol=1e-8)
    assert window.n_rows == rows.n_rows == 1_500
    assert total_gain(window, world.champion) == pytest.approx(total_gain(rows, world.champion), rel=1e-6)


def test_a_rewritten_night_replaces_its_own(world: QuietWorld) -> None:
    nights = nights_of(world.champion, world.training)
    other = summed(world.champion, world.training[0][:, :7])
    rewritten = nights.with_night(date_of(4), other)
    assert rewritten.dates == nights.dates
    assert rewritten.night(date_of(4)).sums.tobytes() == other.sums.tobytes()
    assert rewritten.n_rows[3] == 7
    assert nights.n_rows[3] == 300


def test_kept_nights_come_back_to_the_bit(world: QuietWorld) -> None:
    nights = nights_of(world.champion, world.training)
    arrays, facts = nights.to_parts()
    back = NightSums.from_parts(world.champion.stack.layout, arrays, json.loads(json.dumps(facts)))
    assert (back.dates, back.n_rows) == (nights.dates, nights.n_rows)
    assert back.sums.tobytes() == nights.sums.tobytes()


def other_champion(world: QuietWorld) -> Champion:
    moved = Reference(centre=world.champion.reference.centre + 1, scale=world.champion.reference.scale)
    return replace(world.champion, reference=moved)


def test_nights_of_another_champion_are_refused(world: QuietWorld) -> None:
    foreign = other_champion(world)
    nights = nights_of(world.champion, world.training)
    with pytest.raises(InconsistentStatisticsError, match="2020-01-11 was summed by another model"):
        nights.with_night(date_of(11), summed(foreign, world.training[0]))
    with pytest.raises(InvalidInputError, match="sum its training range anew"):
        NightSums.from_parts(foreign.stack.layout, *nights.to_parts())


def test_a_night_that_is_not_kept_is_named(world: QuietWorld) -> None:
    with pytest.raises(InvalidInputError, match=r"2020-02-01.*10 nights from 2020-01-01 to 2020-01-10"):
        nights_of(world.champion, world.training).night(date_of(31))


def test_dates_out_of_order_are_refused(world: QuietWorld) -> None:
    nights = nights_of(world.champion, world.training)
    with pytest.raises(InvalidInputError, match="ascending dates"):
        NightSums(layout=nights.layout, dates=nights.dates[::-1], n_rows=nights.n_rows, sums=nights.sums)


def test_no_nights_are_a_window_without_rows(world: QuietWorld) -> None:
    nothing = NightSums.of(world.champion.stack.layout, {})
    assert len(nothing) == 0
    assert nothing.total().mass == 0

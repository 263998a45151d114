"""Since when nights differ is found to the night, whatever varies at random beside it."""

from __future__ import annotations

import numpy as np
import pytest

from gmmdask.monitoring import total_gain
from gmmdask.monitoring.breaks import find_break
from tests.monitoring.worlds import date_of, nights_of, quiet_world, summed


@pytest.mark.parametrize("number", [1, 2, 7, 19, 28])
def test_a_lasting_change_is_found_to_the_night(number: int) -> None:
    """Statistical: one standard deviation in one feature of every other row, nights of 300 rows."""
    world = quiet_world(n_nights=28)
    nights = world.nights(28)
    for rows in nights[number - 1 :]:
        rows[0, ::2] += 1.0
    assert find_break(nights_of(world.champion, nights), world.champion) == date_of(number)


def test_it_is_the_night_since_which_the_rows_gain_most_together() -> None:
    """By definition, over the rows themselves."""
    world = quiet_world(n_nights=28)
    nights = world.nights(10)
    ratios = []
    for first in range(10):
        together = summed(world.champion, np.hstack(nights[first:]))
        ratios.append(together.mass * total_gain(together, world.champion))
    assert find_break(nights_of(world.champion, nights), world.champion) == date_of(1 + int(np.argmax(ratios)))

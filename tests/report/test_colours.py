"""The colours of segments: which there are, how far they lie apart, and that an id keeps its own."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from gmmdask.report.colours import colour
from gmmdask.report.trend.figures import figures
from gmmdask.report.trend.reading import read_trend
from tests.report.years import SEGMENTATION, Year, publish_year

TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_OPPONENTS = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def linear(hexadecimal: str) -> np.ndarray:
    values = np.array([int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(hexadecimal: str) -> np.ndarray:
    """As Ottosson (2020) defines it."""
    return np.array(TO_OPPONENTS) @ np.cbrt(np.array(TO_CONES) @ linear(hexadecimal))


def nearest(ids: range) -> float:
    """The smallest distance of two colours."""
    return min(float(np.linalg.norm(oklab(colour(one)) - oklab(colour(other)))) for one, other in combinations(ids, 2))


def test_the_first_twelve_colours_are_those_that_earlier_pages_had():
    known = "4269d0 e8862e 3a9b57 c9405b 8a5cc2 2aa5b8 9c6b4e d764a8 6b7785 b59a1c 1f5f8b 7d9a3c"
    assert [colour(one) for one in range(1, 13)] == [f"#{one}" for one in known.split()]


@pytest.mark.parametrize(("ids", "least"), [(range(1, 25), 0.066), (range(13, 25), 0.12), (range(1, 49), 0.065)])
def test_forty_eight_segments_have_colours_that_can_be_told_apart(ids, least):
    assert nearest(ids) >= least


def test_every_colour_stands_out_against_white():
    """By the contrast ratio of WCAG 2.2."""
    luminances = [float(linear(colour(one)) @ [0.2126, 0.7152, 0.0722]) for one in range(1, 49)]
    assert max(luminances) < 1.05 / 1.6 - 0.05


def test_twenty_segments_in_one_picture_have_twenty_colours(tmp_path):
    trend = read_trend(publish_year(tmp_path, Year(dates=6, together=3, segments=21)), SEGMENTATION)
    drawn = figures(trend)["shares"].data
    assert len({trace.fillcolor for trace in drawn}) == len(drawn) == 20

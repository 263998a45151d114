"""What sets a segment apart, in a word: means that differ, or else spreads that are small."""

from __future__ import annotations

from gmmdask.report.findings import Profiles, Segment
from gmmdask.report.tables import marks


def profiles(**own: tuple[float, float]) -> Profiles:
    """Means and standard deviations of segment 1, where all rows have 0 and 1."""
    measured = {(None, name, statistic): value for name in own for statistic, value in (("mean", 0.0), ("sd", 1.0))}
    for name, (mean, spread) in own.items():
        measured |= {(1, name, "mean"): mean, (1, name, "sd"): spread}
    return Profiles(features=tuple(own), described=(), measured=measured, categories={})


def told(found: Profiles) -> list[tuple[str, str]]:
    segment = Segment(segment_id=1, position=0, name=None, size=9, share=0.5, weight=0.5)
    return [(mark.arrow, mark.feature) for mark in marks(found, segment)]


def test_means_that_differ_come_first_the_furthest_ahead():
    assert told(profiles(a=(0.6, 0.1), b=(-2.5, 1.0), c=(0.4, 0.1))) == [("↓↓", "b"), ("↑", "a")]


def test_where_no_mean_differs_small_spreads_tell_the_smallest_ahead():
    assert told(profiles(a=(0.1, 0.4), b=(0.0, 0.05), c=(0.2, 0.6))) == [("=", "b"), ("=", "a")]


def test_a_segment_like_the_whole_has_no_mark():
    assert told(profiles(a=(0.1, 0.9), b=(-0.4, 1.2))) == []

"""What sets the strangest rows apart, in words: distances are those of the profiles that the page shows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from gmmdask.report.reading import read_findings
from gmmdask.report.strangest import StrangeRow, strange_rows
from tests.report.worlds import RUN, publish


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return read_findings(publish(tmp_path_factory.mktemp("world")).warehouse, RUN)


def told(findings, **values: float | str | None) -> StrangeRow:
    row = {"dt": date(2024, 1, 1), "id": "one", "segment_id": 1, "log_density": -9.0, "row_values": json.dumps(values)}
    return strange_rows(replace(findings, strangest=[row]))[0]


def at(findings, feature: str, distance: float) -> float:
    mean, spread = (findings.profiles.value(1, feature, statistic) for statistic in ("mean", "sd"))
    return mean + distance * spread


def test_values_far_from_their_segment_are_told_the_farthest_first(findings):
    first, second, third, fourth = findings.profiles.features
    row = told(
        findings,
        **{first: at(findings, first, 4.0), second: at(findings, second, -25.0), third: at(findings, third, 2.9)},
        **{fourth: None},
    )
    words = row.far.split(", ")
    assert [word.split()[0] for word in words] == [second, first]
    assert words[0].endswith("(−25)")
    assert words[1].endswith("(+4)")


def test_where_no_value_is_far_the_combination_is(findings):
    near = {feature: at(findings, feature, 2.0) for feature in findings.profiles.features}
    assert told(findings, **near).far == "no value alone, but together"
    assert told(findings).far == "no value alone, but together"


def test_described_values_stand_beside(findings):
    assert told(findings, region="North", channel=None).described == "North"


def test_every_strangest_row_of_a_run_is_told(findings):
    rows = strange_rows(findings)
    assert [row.id for row in rows] == [row["id"] for row in findings.strangest]
    assert len(rows) == 12

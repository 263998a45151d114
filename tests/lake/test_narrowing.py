"""`Lake.where` keeps exactly the partitions whose values meet the conditions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.errors import EmptyDataError, InvalidInputError, UnknownNameError
from gmmdask.lake import Lake, open_lake
from gmmdask.lake.conditions import matches
from gmmdask.lake.manifest import parse_keys
from tests.lake.conftest import WriteLake

DAYS = [(date(2013, 1, 1) + timedelta(days=number)).isoformat() for number in range(6)]


@pytest.fixture
def lake(write_lake: WriteLake) -> Lake:
    tables = {f"dt={day}/k={n % 2}/p.parquet": pa.table({"a": [float(n)]}) for n, day in enumerate(DAYS)}
    return open_lake(write_lake(tables))


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        (DAYS[2], [2]),
        ((DAYS[1], DAYS[3]), [1, 2, 3]),
        ((None, DAYS[1]), [0, 1]),
        ((DAYS[4], None), [4, 5]),
        ([DAYS[0], DAYS[5]], [0, 5]),
        ({DAYS[3]}, [3]),
        (date(2013, 1, 2), [1]),
        ((date(2013, 1, 2), "2013-01-03"), [1, 2]),
        (lambda value: value.endswith("06"), [5]),
    ],
)
def test_a_condition_on_dates_keeps_these_days(lake: Lake, condition: object, kept: list[int]) -> None:
    assert lake.where(dt=condition).dates == tuple(DAYS[number] for number in kept)  # type: ignore[arg-type]


def test_conditions_and_a_predicate_must_all_hold(lake: Lake) -> None:
    narrowed = lake.where(lambda values: values["dt"] > DAYS[1], k=1, dt=(None, DAYS[4]))
    assert narrowed.dates == (DAYS[3],)


def test_partitions_of_a_narrowed_lake_are_numbered_anew_and_read_their_own_rows(lake: Lake) -> None:
    narrowed = lake.where(dt=(DAYS[3], None))
    leaves = [leaf for position in range(len(narrowed.partitions)) for leaf in narrowed.read(position)]
    assert [leaf.partition for leaf in leaves] == [0, 1, 2]
    np.testing.assert_array_equal(np.hstack([leaf.values for leaf in leaves]), [[3.0, 4.0, 5.0]])


@given(number=st.integers(-50, 50), low=st.integers(-50, 50), high=st.integers(-50, 50))
def test_numbers_compare_as_numbers_and_not_as_text(number: int, low: int, high: int) -> None:
    assert matches(str(number), (low, high)) == (low <= number <= high)
    assert matches(f"{number:04}", number)


def test_a_key_that_does_not_exist_is_named_with_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownNameError, match=r"no partition key 'dtt'.*did you mean 'dt'"):
        lake.where(dtt="2013-01-01")


def test_an_empty_choice_is_refused_and_says_what_there_is(lake: Lake) -> None:
    with pytest.raises(EmptyDataError, match=r"meets dt='2014-01-01'; it has 6, from 'dt=2013-01-01/k=0/p.parquet'"):
        lake.where(dt="2014-01-01")


@pytest.mark.parametrize("wrong", [lambda: matches("x", 3), lambda: matches("x", ("a", "b", "c"))])  # type: ignore[arg-type]
def test_conditions_that_cannot_be_compared_are_refused(wrong: Callable[[], bool]) -> None:
    with pytest.raises(InvalidInputError):
        wrong()


def test_keys_are_read_from_folders_alone() -> None:
    assert parse_keys("a=1/b/c=x%2Fy/d=2.parquet") == (("a", "1"), ("c", "x/y"))

"""What `Lake.where` accepts for one partition value, and whether a value meets it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime

import numpy as np

from gmmdask.errors import InvalidInputError

Scalar = str | int | float | date | np.datetime64
Condition = Scalar | tuple[Scalar | None, Scalar | None] | Collection[Scalar] | Callable[[str], bool]


def matches(value: str, condition: Condition) -> bool:
    """Return whether a partition value, text as it stands in the path, meets a condition.

    Raises
    ------
    InvalidInputError
        The condition is a tuple that is not a pair, or compares a number with a value that is none.

    Examples
    --------
    >>> matches("2013-02-01", ("2013-01-01", "2013-03-31")), matches("7", [1, 7]), matches("7", 8)
    (True, True, False)
    """
    if callable(condition):
        return bool(condition(value))
    if isinstance(condition, str | int | float | date | np.datetime64):
        return _like(value, condition) == _plain(condition)
    if isinstance(condition, tuple):
        return _within(value, condition)
    return any(matches(value, each) for each in condition)


def _within(value: str, bounds: tuple[Scalar | None, ...]) -> bool:
    if len(bounds) != 2:
        raise InvalidInputError(f"{bounds!r} is not a range (lowest, highest); write a list to choose among values")
    lowest, highest = bounds
    above = lowest is None or _like(value, lowest) >= _plain(lowest)  # type: ignore[operator]
    return above and (highest is None or _like(value, highest) <= _plain(highest))  # type: ignore[operator]


def _like(value: str, example: Scalar) -> str | float:
    if not isinstance(example, int | float):
        return value
    try:
        return float(value)
    except ValueError as error:
        raise InvalidInputError(f"the partition value {value!r} is no number to compare with {example!r}") from error


def _plain(scalar: Scalar) -> str | float:
    """Return a date as it stands in a path; a time is that of its day (pandas' timestamps are datetimes)."""
    if isinstance(scalar, np.datetime64):
        return str(scalar.astype("datetime64[D]"))
    if isinstance(scalar, datetime):
        return scalar.date().isoformat()
    return scalar.isoformat() if isinstance(scalar, date) else scalar

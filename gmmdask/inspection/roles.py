"""Which column is clustered, which describes, which identifies a row, which is left out, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError, UnknownNameError
from gmmdask.inspection.columns import ColumnFacts, inspect_columns
from gmmdask.inspection.sample import Sample
from gmmdask.lake.schema import nearest
from gmmdask.preparation.advice import (
    ATOM,
    MOST_FILLED,
    MOST_MISSING,
    NEARLY_UNIQUE,
    OWN_VARIANCE,
    few_values,
    heavy_tail,
    near_id,
    repetition,
    spike,
)
from gmmdask.preparation.column_facts import NumberFacts, dependent_columns

FEWEST_COMPLETE = 0.5
ALONE = 0.5
"""Share of the gaps of a column that must be the only ones in their rows to be filled in."""
MANY_VALUES = 200

_KEY_NAME = re.compile(r"(?:^|_)(?i:id|ids|uuid|guid|key)$|[a-z]I[dD]$")
_DATE_PARTS = ("year", "month", "day")

Role = Literal["id", "feature", "describe", "left out"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The role of a column, and what to know about it.

    Parameters
    ----------
    facts : ColumnFacts
    role : {"id", "feature", "describe", "left out"}
    note : str
        Why.
    fill, bend : str
        Why missing cells of a feature are to be filled in, and its tail drawn in; empty where they are not.
    """

    facts: ColumnFacts
    role: Role
    note: str = ""
    fill: str = ""
    bend: str = ""

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.facts.name


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection:
    """What a first look at a lake found.

    Parameters
    ----------
    uri : str
        The lake as it was named.
    sample : Sample
    choices : tuple of Choice
        One a column, the id's first of its role.
    complete : float
        Share of the rows looked at that have a value in every feature that is not filled in.
    """

    uri: str
    sample: Sample
    choices: tuple[Choice, ...]
    complete: float

    def named(self, role: Role) -> tuple[str, ...]:
        """Return the names of the columns in a role."""
        return tuple(choice.name for choice in self.choices if choice.role == role)

    @property
    def id(self) -> Choice:
        """The column that identifies a row."""
        return next(choice for choice in self.choices if choice.role == "id")


def choose_roles(uri: str, sample: Sample, id_column: str | None = None) -> Inspection:
    """Give every column a role.

    Parameters
    ----------
    uri : str
        The lake as it was named.
    sample : Sample
    id_column : str, optional
        The column that identifies a row; found by looking where it is not given.

    Raises
    ------
    InvalidInputError
        No column identifies a row, the one that was named does not, or no column can be clustered.
    """
    facts = inspect_columns(sample)
    identity = _identity(facts, id_column)
    choices = [Choice(facts=one, role="id") if one is identity else _judged(one, sample) for one in facts]
    choices = _without_emptiest(_filled(choices, sample), sample)
    choices = _without_dependent(choices, sample)
    if not any(choice.role == "feature" for choice in choices):
        reasons = "; ".join(f"{choice.name}: {choice.note}" for choice in choices if choice.role != "id")
        raise InvalidInputError(f"no column of {uri!r} can be clustered ({reasons}); write one with measured numbers")
    return Inspection(uri=uri, sample=sample, choices=tuple(choices), complete=_complete(choices, sample))


def _identity(facts: Sequence[ColumnFacts], name: str | None) -> ColumnFacts:
    columns = [one for one in facts if one.kind != "key"]
    if name is not None:
        if name not in (names := [one.name for one in columns]):
            raise UnknownNameError(f"no column {name!r} for the id{nearest(name, names)}")
        columns = [one for one in columns if one.name == name]
    found = [one for one in columns if one.identifies]
    if not found:
        raise InvalidInputError(_no_identity(columns))
    # A column that is called an id is one; text before numbers, which may differ by chance in a few thousand rows.
    return min(found, key=lambda one: (not _KEY_NAME.search(one.name), one.kind != "text", one.identifies != "event"))


def _no_identity(columns: Sequence[ColumnFacts]) -> str:
    candidates = [one for one in columns if one.distinct and (one.kind == "text" or one.is_integer)]
    best = sorted(candidates, key=lambda one: -one.distinct)[:3]
    near = ", ".join(
        f"{one.name!r} has {one.distinct:,} different values in {one.n_rows:,} rows and {one.missing:,} missing"
        for one in best
    )
    return (
        f"no column of text or whole numbers identifies a row within its date ({near or 'there is none'}); every row "
        "needs an id that is never missing, so that its segment can be looked up: add such a column"
    )


def _judged(one: ColumnFacts, sample: Sample) -> Choice:
    if one.kind == "unreadable":
        return Choice(facts=one, role="left out", note=one.trouble)
    if one.kind == "time":
        return Choice(facts=one, role="left out", note=f"{one.type}: write it as a number to cluster it")
    if one.kind == "key" and _is_date(one, sample):
        return Choice(facts=one, role="left out", note="the date of the night")
    if one.distinct <= 1:
        told = f"always {one.top[0][0]!r}{_missing(one)}" if one.top else "no value"
        return Choice(facts=one, role="left out", note=told)
    if one.numbers is not None and _overflows(sample.numbers[one.name]):
        return Choice(facts=one, role="left out", note=f"{one.type}: the squares of its values overflow")
    return _judged_text(one) if one.numbers is None else _judged_number(one, one.numbers)


def _overflows(values: NDArray[np.float64]) -> bool:
    """Return whether the variance of the finite values is beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.isfinite(values[np.isfinite(values)].var())


def _is_date(one: ColumnFacts, sample: Sample) -> bool:
    files = sample.lake.files
    return one.name in _DATE_PARTS or all(file.partition_values.get(one.name) == file.date for file in files)


def _judged_text(one: ColumnFacts) -> Choice:
    told = f"{one.distinct:,} different values{_missing(one)}"
    if one.distinct >= NEARLY_UNIQUE * one.present:
        return Choice(facts=one, role="left out", note=f"{told}: nearly one a row, like an id")
    if one.distinct > MANY_VALUES:
        return Choice(facts=one, role="left out", note=f"{told}: too many to read per segment")
    return Choice(facts=one, role="describe", note=told)


def _judged_number(one: ColumnFacts, numbers: NumberFacts) -> Choice:
    if few := few_values(numbers):
        return Choice(facts=one, role="describe", note=f"{one.type}, {few}{_missing(one)}")
    note = f"{one.type}{_missing(one)}"
    trouble = _trouble(one, numbers)
    if trouble:
        return Choice(facts=one, role="left out", note=f"{note}: {trouble}")
    return Choice(facts=one, role="feature", note=note + _remarks(one, numbers), bend=heavy_tail(numbers))


def _trouble(one: ColumnFacts, numbers: NumberFacts) -> str:
    """Return why numbers of many values had better not be clustered, or nothing."""
    if one.missing_share > MOST_MISSING:
        return "clustering it leaves those rows without a segment"
    if like_id := near_id(numbers):
        return like_id
    if numbers.is_whole and _KEY_NAME.search(one.name):
        return "its name is that of a key, not of a quantity"
    if atom := spike(numbers):
        return f"{atom}, and a component would collapse onto such a value"
    return ""


def _remarks(one: ColumnFacts, numbers: NumberFacts) -> str:
    atoms = [f"{value} ({rows / one.present:.1%})" for value, rows in one.top[:3] if rows > ATOM * one.present]
    told = f"; often {', '.join(atoms)}" if atoms else ""
    if one.infinite:
        told += f"; {one.infinite:,} infinite cells, whose rows get no segment"
    if tail := heavy_tail(numbers):
        told += f"; heavy tail, {tail}"
    return told


def _missing(one: ColumnFacts) -> str:
    return f", {one.missing_share:.1%} missing" if one.missing else ""


def _filled(choices: Sequence[Choice], sample: Sample) -> list[Choice]:
    """Have gaps filled in where they are few, and where the rest of the row is there: filled rows are not made up."""
    features = [choice.name for choice in choices if choice.role == "feature"]
    gaps = {name: np.isnan(sample.numbers[name]) for name in features}
    rows_with_gaps = np.sum(list(gaps.values()), axis=0)

    def why(choice: Choice) -> str:
        share = choice.facts.missing_share
        if choice.name not in gaps or not 0 < share <= MOST_FILLED:
            return ""
        alone = (rows_with_gaps[gaps[choice.name]] == 1).mean()
        return f"{share:.1%} missing" if alone > ALONE else ""

    return [replace(choice, fill=why(choice)) for choice in choices]


def _without_dependent(choices: Sequence[Choice], sample: Sample) -> list[Choice]:
    names = [choice.name for choice in choices if choice.role == "feature"]
    found = dependent_columns(sample.numbers, names, OWN_VARIANCE)
    return [
        replace(choice, role="left out", note=f"{choice.facts.type}: {repetition(found[choice.name])}")
        if choice.name in found
        else choice
        for choice in choices
    ]


def _without_emptiest(choices: Sequence[Choice], sample: Sample) -> list[Choice]:
    """Leave out the feature with the most missing cells until enough rows have a value in all of them."""
    kept = list(choices)
    while _complete(kept, sample) < FEWEST_COMPLETE:
        number, worst = max(
            ((i, c) for i, c in enumerate(kept) if c.role == "feature"), key=lambda pair: pair[1].facts.missing
        )
        note = f"{worst.note}: with it too few rows would have a value in every feature"
        kept[number] = replace(worst, role="left out", note=note)
    return kept


def _complete(choices: Sequence[Choice], sample: Sample) -> float:
    features = [choice for choice in choices if choice.role == "feature"]
    usable = [_usable(sample.numbers[choice.name], filled=bool(choice.fill)) for choice in features]
    return float(np.all(usable, axis=0).mean()) if usable else 1.0


def _usable(values: NDArray[np.float64], *, filled: bool) -> NDArray[np.bool_]:
    return np.asarray(~np.isinf(values) if filled else np.isfinite(values))

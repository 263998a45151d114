"""What a person should know of the columns before a mixture is fitted to them, and what to do about it.

Takes and gives plain values. The first look at a lake and the night that fits it judge by these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gmmdask.preparation.column_facts import NumberFacts, dependent_columns, measure_numbers

MOST_MISSING = 0.2
FEW_VALUES = 20
ROWS_PER_VALUE = 2
"""Fewer rows than this for each different value, and there are not few values but few rows."""
NEARLY_UNIQUE = 0.99
MOST_FILLED = 0.05
"""Share of cells that may be filled in alike: at twice this, full and diagonal components collapse onto the filling."""
ATOM = 0.01
"""Share of the rows that a single value may have: as much as may lie in collapsed components of a sound candidate."""
SPIKE = 10.0
"""A value is a spike when it is this many times as frequent as the middle one of the most frequent values."""
HEAVY_TAIL = 20.0
OWN_VARIANCE = 2e-5
"""Twenty times the default reg_covar: below it a component of scaled columns counts as collapsed."""
LISTED_COLUMNS = 5

Kind = Literal["constant", "duplicate", "one-hot", "near-id", "missing", "filled", "few values", "atom", "tail"]
KINDS: tuple[Kind, ...] = (
    "constant",
    "duplicate",
    "one-hot",
    "near-id",
    "missing",
    "filled",
    "few values",
    "atom",
    "tail",
)
"""The worst first."""

TITLES: Mapping[Kind, str] = {
    "constant": "Without variation",
    "duplicate": "Told twice",
    "one-hot": "Categories as indicators",
    "near-id": "Like ids",
    "missing": "Often missing",
    "filled": "Often filled in",
    "few values": "Of few values",
    "atom": "With a value that stands out",
    "tail": "With a heavy tail",
}

TO_DO: Mapping[Kind, str] = {
    "constant": "Such columns tell no rows apart: leave them out.",
    "duplicate": "What is told twice counts twice, and across it components have no width but reg_covar: leave these columns out.",
    "one-hot": "The indicators of a column always add up to one, so that full and tied components have no width in that "
    "direction and are disqualified, and diag ones wherever they lack a category: describe the column instead.",
    "near-id": "Numbers that were given to rows measure nothing: leave such columns out.",
    "missing": "Rows without a value get no segment: leave the column out, or fill it in with [preparation] missing.",
    "filled": "Filled cells are all alike, and a component can collapse onto them: leave the column out, or drop the rows.",
    "few values": "A component can collapse onto a single value, whatever the others do: leave the column out or describe it.",
    "atom": "A component can collapse onto that value and describe nothing else: leave the column out or describe it.",
    "tail": 'A few far rows then claim components of their own: try transform = "arcsinh".',
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to know of one column.

    Parameters
    ----------
    column : str
    kind : str
        One of `KINDS`.
    found : str
        What is the case, as a clause without the column's name.
    """

    column: str
    kind: Kind
    found: str

    @property
    def message(self) -> str:
        """What is the case and what to do, in full sentences."""
        return _sentence(self.kind, [self])


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnEvidence:
    """What is known of the columns that will be fitted.

    Parameters
    ----------
    features : tuple of str
    values : ndarray of shape (n_features, n_rows)
        A random sample of the rows, in raw units, NaN where missing.
    minimum, maximum : ndarray of shape (n_features,)
        Over all rows.
    missing : ndarray of shape (n_features,)
        Share of all rows without a value.
    categories : tuple of str, default ()
        Features that become indicator columns; their values are not numbers.
    imputed : tuple of str, default ()
        Features whose missing cells are filled in.
    transformed : tuple of str, default ()
        Features whose tails are drawn in.
    covariance_types : tuple of str
        Structures that will be fitted.
    """

    features: tuple[str, ...]
    values: NDArray[Any]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    missing: NDArray[np.float64]
    categories: tuple[str, ...] = ()
    imputed: tuple[str, ...] = ()
    transformed: tuple[str, ...] = ()
    covariance_types: tuple[str, ...] = field(default=("full",))


def advise(evidence: ColumnEvidence) -> tuple[Finding, ...]:
    """Return what to know before fitting, the worst first; of each column its worst."""
    ranked = sorted(_found(evidence), key=lambda finding: KINDS.index(finding.kind))
    worst: dict[str, Finding] = {}
    for finding in ranked:
        worst.setdefault(finding.column, finding)
    return tuple(worst.values())


def sentences(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return one line for each kind of finding, the worst first, naming its columns.

    Examples
    --------
    >>> finding = Finding(column="price", kind="atom", found="31.0% of its values are 0")
    >>> sentences([finding])[0]
    'With a value that stands out: price (31.0% of its values are 0). A component can collapse onto that value and
    describe nothing else: leave the column out or describe it.'
    """
    by_kind: dict[Kind, list[Finding]] = {kind: [] for kind in KINDS}
    for finding in findings:
        by_kind[finding.kind].append(finding)
    return tuple(_sentence(kind, found) for kind, found in by_kind.items() if found)


def _sentence(kind: Kind, found: Sequence[Finding]) -> str:
    named = [f"{one.column} ({one.found})" for one in found[:LISTED_COLUMNS]]
    more = f" and {len(found) - LISTED_COLUMNS} more" if len(found) > LISTED_COLUMNS else ""
    return f"{TITLES[kind]}: {', '.join(named)}{more}. {TO_DO[kind]}"


def _found(evidence: ColumnEvidence) -> Iterator[Finding]:
    yield from _indicators(evidence)
    yield from _gaps(evidence)
    numbers = {
        name: evidence.values[j]
        for j, name in enumerate(evidence.features)
        if name not in evidence.categories and evidence.minimum[j] < evidence.maximum[j]
    }
    for j, name in enumerate(evidence.features):
        if name in numbers:
            extremes = (float(evidence.minimum[j]), float(evidence.maximum[j]))
            facts = measure_numbers(evidence.values[j], extremes)
            yield from _of_numbers(name, facts, tails=name not in evidence.transformed)
        elif evidence.minimum[j] == evidence.maximum[j]:
            value = "the same" if name in evidence.categories else f"{evidence.minimum[j]:.12g}"
            yield Finding(column=name, kind="constant", found=f"always {value}")
    varying = [name for name, values in numbers.items() if _varies(values)]
    for name, others in dependent_columns(numbers, varying, OWN_VARIANCE).items():
        yield Finding(column=name, kind="duplicate", found=repetition(others))


def _varies(values: NDArray[Any]) -> bool:
    finite = values[np.isfinite(values)]
    return bool(len(finite) and finite.min() < finite.max())


def _indicators(evidence: ColumnEvidence) -> Iterator[Finding]:
    singular = [name for name in ("full", "tied") if name in evidence.covariance_types]
    if singular:
        for name in evidence.categories:
            yield Finding(column=name, kind="one-hot", found=f"with {' and '.join(singular)} covariances in the grid")


def _gaps(evidence: ColumnEvidence) -> Iterator[Finding]:
    for name, share in zip(evidence.features, evidence.missing, strict=True):
        if name in evidence.imputed and name not in evidence.categories and share > MOST_FILLED:
            yield Finding(column=name, kind="filled", found=f"{share:.1%} missing")
        elif name not in evidence.imputed and share > MOST_MISSING:
            yield Finding(column=name, kind="missing", found=f"{share:.1%} missing")


def _of_numbers(name: str, facts: NumberFacts, *, tails: bool) -> Iterator[Finding]:
    rules: dict[Kind, Callable[[NumberFacts], str]] = {"near-id": near_id, "few values": few_values, "atom": spike}
    if tails:
        rules["tail"] = heavy_tail
    for kind, rule in rules.items():
        if found := rule(facts):
            yield Finding(column=name, kind=kind, found=found)


def near_id(facts: NumberFacts) -> str:
    """Return a clause where nearly every row has a whole number of its own, else nothing."""
    if not facts.present or not facts.is_whole or facts.distinct < NEARLY_UNIQUE * facts.present:
        return ""
    return f"{facts.distinct:,} different values, nearly one a row, like an id"


def few_values(facts: NumberFacts) -> str:
    """Return a clause where all rows share a few values, else nothing."""
    if not facts.distinct or facts.distinct > FEW_VALUES or facts.present < ROWS_PER_VALUE * facts.distinct:
        return ""
    return f"{facts.distinct} different values"


def spike(facts: NumberFacts) -> str:
    """Return a clause where one value has many rows and values otherwise hardly repeat, else nothing."""
    if not facts.top:
        return ""
    (value, rows), others = facts.top[0], [n for _, n in facts.top[1:]]
    share = rows / facts.present
    if share <= ATOM or rows <= SPIKE * float(np.median(others or [0])):
        return ""
    return f"{share:.1%} of its values are {value:.12g}"


def heavy_tail(facts: NumberFacts) -> str:
    """Return a clause where values lie extremely far from the middle, else nothing."""
    if facts.tail <= HEAVY_TAIL:
        return ""
    return f"up to {facts.tail:,.0f} interquartile ranges from the median"


def repetition(others: Sequence[str]) -> str:
    """Return a clause for a column that follows from others."""
    if not others:
        return "always the same where the other features have a value"
    named = ", ".join(others)
    return f"repeats {named}, up to its unit" if len(others) == 1 else f"follows from {named}"

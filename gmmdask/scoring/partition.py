"""One partition as one task: read, score, stage, and return what the driver needs to know.

The task is pure but for the file that it stages; run again, it writes the same bytes to the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from gmmdask.engine.port import Engine
from gmmdask.engine.tree import pairwise
from gmmdask.errors import InvalidInputError
from gmmdask.preparation.codes import texts_of_ids
from gmmdask.scoring.assign import SegmentModel, assignments, score_leaf
from gmmdask.scoring.outlying import OutlyingRow, farthest, outlying_rows
from gmmdask.scoring.profile import SegmentSums, combine_sums, profile_leaf
from gmmdask.source import Leaf, Source
from gmmdask.warehouse import Attempt, StagedFile


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ScoringTask:
    """What every scoring task is given.

    Parameters
    ----------
    model : SegmentModel
    attempt : Attempt
        Where the rows are staged.
    dates : tuple of datetime.date
        Date of every partition of the source.
    id_column : str
        Carried column that identifies a row.
    describe : tuple of str
        Carried columns that are counted per segment.
    observe : callable, optional
        Makes of every leaf a summary that travels with the partition's scores; pure and picklable.
    """

    model: SegmentModel
    attempt: Attempt
    dates: tuple[date, ...]
    id_column: str
    describe: tuple[str, ...] = ()
    observe: Callable[[Leaf], Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class PartitionScores:
    """The receipt of a scored partition, the sums over its rows, the farthest of them, and what was observed, if anything."""

    receipt: StagedFile
    sums: SegmentSums
    outlying: tuple[OutlyingRow, ...] = ()
    observed: Any = None


def score_source(source: Source, engine: Engine, task: ScoringTask) -> list[PartitionScores]:
    """Score and stage every row of a source.

    Parameters
    ----------
    source : Source
        Raw columns in the order of the model's recipe; carries the id and the described columns.
    engine : Engine
    task : ScoringTask

    Returns
    -------
    list of PartitionScores
        One per partition, in order.

    Raises
    ------
    InvalidInputError
        An id is NULL; names the partition.
    GmmdaskError
        As `Engine.map`.
    """
    return engine.map(source, score_partition, (task,), name="score")


def score_partition(partition: int, leaves: Iterator[Leaf], task: ScoringTask) -> PartitionScores:
    """Score the rows of one partition leaf by leaf, and stage them."""
    found = _Found()
    receipt = task.attempt.write(partition, _batches(partition, leaves, task, found))
    return PartitionScores(
        receipt=receipt,
        sums=combine_sums(found.sums, SegmentSums.empty(task.model, task.describe)),
        outlying=farthest(found.outlying),
        observed=pairwise(found.observed),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What comes to light while the leaves of a partition go by."""

    sums: list[SegmentSums] = field(default_factory=list)
    outlying: list[OutlyingRow] = field(default_factory=list)
    observed: list[Any] = field(default_factory=list)


def _batches(partition: int, leaves: Iterator[Leaf], task: ScoringTask, found: _Found) -> Iterator[dict[str, Any]]:
    for read in leaves:
        leaf = _identified(read, task.id_column)
        if task.observe is not None:
            found.observed.append(task.observe(leaf))
        scores = score_leaf(leaf.values, task.model)
        described = {name: leaf.carried[name] for name in task.describe}
        ids, dt = leaf.carried[task.id_column], task.dates[partition]
        found.sums.append(profile_leaf(leaf.values, scores, task.model, described))
        found.outlying.extend(outlying_rows(leaf.values, scores, task.model, described, (ids, dt)))
        yield assignments(scores, task.model, ids, dt)


def _identified(leaf: Leaf, id_column: str) -> Leaf:
    """Return the leaf with its ids as text, and refuse rows without one."""
    if absent := leaf.carried[id_column].null_count:
        raise InvalidInputError(
            f"the id column {id_column!r} has no value in {absent} of the {leaf.n_rows} rows of leaf {leaf.index}. "
            "Mend the source, or choose another id column; nothing was published"
        )
    ids = texts_of_ids(leaf.carried[id_column], id_column)
    return replace(leaf, carried={**leaf.carried, id_column: ids})

"""One partition as one task: read, score, stage, and return what the driver needs to know.

The task is pure but for the file that it stages; run again, it writes the same bytes to the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from gmmdask.engine.port import Engine
from gmmdask.engine.tree import pairwise
from gmmdask.errors import InvalidInputError
from gmmdask.scoring.assign import SegmentModel, assignments, score_leaf
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
    """The receipt of a scored partition, the sums over its rows, and what was observed of them, if anything."""

    receipt: StagedFile
    sums: SegmentSums
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
    sums: list[SegmentSums] = []
    observed: list[Any] = []
    receipt = task.attempt.write(partition, _batches(partition, leaves, task, sums, observed))
    return PartitionScores(
        receipt=receipt,
        sums=combine_sums(sums, SegmentSums.empty(task.model, task.describe)),
        observed=pairwise(observed),
    )


def _batches(
    partition: int, leaves: Iterator[Leaf], task: ScoringTask, sums: list[SegmentSums], observed: list[Any]
) -> Iterator[dict[str, Any]]:
    for leaf in leaves:
        _require_ids(leaf, task.id_column)
        if task.observe is not None:
            observed.append(task.observe(leaf))
        scores = score_leaf(leaf.values, task.model)
        described = {name: leaf.carried[name] for name in task.describe}
        sums.append(profile_leaf(leaf.values, scores, task.model, described))
        yield assignments(scores, task.model, leaf.carried[task.id_column], task.dates[partition])


def _require_ids(leaf: Leaf, id_column: str) -> None:
    if absent := leaf.carried[id_column].null_count:
        raise InvalidInputError(
            f"the id column {id_column!r} has no value in {absent} of the {leaf.n_rows} rows of leaf {leaf.index}. "
            "Mend the source, or choose another id column; nothing was published"
        )

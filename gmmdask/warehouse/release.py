"""What is published at once, as values: publication rows, the run's small tables, and the staged files.

Values only: nothing here writes to a warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from gmmdask.errors import InvalidInputError
from gmmdask.warehouse.schema import conform
from gmmdask.warehouse.tables import CHAMPION_KINDS, KINDS, LABEL_KINDS, TABLES


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """One row of `publications`, but for its number and time, which the warehouse gives.

    Parameters
    ----------
    segmentation : str
        Name of the segmentation.
    kind : str
        night, repeat, rescore, promote or rollback.
    dt : datetime.date
        The date published or, for promote and rollback, from which on the champion is in force.
    model_id : str
        The model of the labels or, for promote and rollback, the new champion.
    run_id : str, optional
        The run that is published; promote and rollback need none.
    champion_id : str, optional
        The model in force from now on. Required for night, promote and rollback, refused for the others.

    Raises
    ------
    InvalidInputError
        The kind is unknown, or run or champion do not fit it.
    """

    segmentation: str
    kind: str
    dt: date
    model_id: str
    run_id: str | None = None
    champion_id: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"publication kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.kind in LABEL_KINDS and self.run_id is None:
            raise InvalidInputError(f"a {self.kind} of {self.dt} publishes labels, so it needs a run_id")
        if (self.champion_id is not None) != (self.kind in CHAMPION_KINDS):
            wanted = "needs" if self.kind in CHAMPION_KINDS else "must not name"
            raise InvalidInputError(f"a {self.kind} of {self.dt} {wanted} a champion_id; it is {self.champion_id!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedFile:
    """Receipt for one staged Parquet file: its path relative to the attempt, rows and size in bytes."""

    path: str
    rows: int
    nbytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedRows:
    """Assignments that wait as Parquet files.

    Parameters
    ----------
    filesystem : fsspec filesystem
        Where they lie.
    paths : tuple of str
        Their absolute paths on it.
    rows : int
        Rows in all of them.
    checked : bool, default False
        Whether their ids were found present and unique before they were staged as complete.
    """

    filesystem: Any = field(repr=False)
    paths: tuple[str, ...]
    rows: int
    checked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """Everything that becomes visible at once.

    Parameters
    ----------
    publications : tuple of Publication
        One per date; of one segmentation, one run and one model.
    tables : mapping of str to pyarrow.Table
        The run's rows of the small tables, exactly as `gmmdask.warehouse.tables` has them; see `conform_tables`.
    staged : StagedRows, optional
        The run's assignments, of the dates in `publications` only.
    entity : {"event", "snapshot"}, default "snapshot"
        Whether ids are unique in the segmentation, or within a date.

    Raises
    ------
    InvalidInputError
        There is no publication, they do not belong together, or there are rows but no run.
    """

    publications: tuple[Publication, ...]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    staged: StagedRows | None = None
    entity: str = "snapshot"

    def __post_init__(self) -> None:
        if len({(p.segmentation, p.run_id, p.model_id) for p in self.publications}) != 1:
            raise InvalidInputError("a release needs at least one date, and all of one segmentation, run and model")
        if len({p.dt for p in self.publications}) < len(self.publications):
            raise InvalidInputError(f"a release of run {self.run_id} names a date more than once")
        if self.run_id is None and (self.tables or self.staged):
            raise InvalidInputError("a release without a run cannot hold tables or assignments")

    @property
    def segmentation(self) -> str:
        """The segmentation."""
        return self.publications[0].segmentation

    @property
    def run_id(self) -> str | None:
        """The run, if any."""
        return self.publications[0].run_id


def conform_tables(
    publication: Publication, tables: Mapping[str, pa.Table | Sequence[Mapping[str, Any]]]
) -> dict[str, pa.Table]:
    """Return the small tables of a run in the form in which they are staged and published.

    Parameters
    ----------
    publication : Publication
        Any of the run; gives the columns run_id, segmentation and model_id where a table leaves them out.
    tables : mapping
        Arrow tables or rows by table name; nullable columns may be left out.

    Raises
    ------
    InvalidInputError
        A table is unknown or written by the warehouse itself, or a column is unknown, missing or of another type.
    """
    constants = {name: getattr(publication, name) for name in ("run_id", "segmentation", "model_id")}
    small = [name for name in TABLES if name not in ("assignments", "publications")]
    unknown = sorted(set(tables) - set(small))
    if unknown:
        raise InvalidInputError(f"a run writes to the tables {', '.join(small)}, not to {', '.join(unknown)}")
    return {name: conform(TABLES[name], tables[name], constants) for name in small if name in tables}

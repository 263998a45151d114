"""Staging: where workers leave a run's rows until they are published.

`{root}/staging/{run_id}/{attempt}/` holds one Parquet file of assignments per partition, the run's small tables, and,
last, `manifest.json`. An attempt with a manifest whose files are all there is complete and can be published without
computing again; any other is rubbish. Works on every fsspec filesystem. Nothing here knows the warehouse.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gmmdask.errors import InvalidInputError, WarehouseError
from gmmdask.storage import open_storage
from gmmdask.warehouse.files import created, reaching, sizes, subfolders
from gmmdask.warehouse.port import pass_by
from gmmdask.warehouse.release import Publication, Release, StagedFile, StagedRows, conform_tables
from gmmdask.warehouse.schema import Table, conform
from gmmdask.warehouse.tables import ASSIGNMENTS

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
ATTEMPT = re.compile(r"\d+-[0-9a-f]{8}")

_CONSTANT = ("segmentation", "run_id")
STAGED_ASSIGNMENTS = Table(
    name=ASSIGNMENTS.name,
    meaning=ASSIGNMENTS.meaning,
    key=("dt", "id"),
    columns=tuple(column for column in ASSIGNMENTS.columns if column.name not in _CONSTANT),
)
"""Columns of a staged file: those of assignments but for what is the same in the whole run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt at a run: a folder that workers write to. Small, picklable, without state.

    Parameters
    ----------
    filesystem : fsspec filesystem
        Where the folder is.
    folder : str
        Its absolute path there.
    run_id : str
        The run.
    """

    filesystem: Any = field(repr=False)
    folder: str
    run_id: str

    def write(self, partition: int, batches: Iterable[pa.Table | Mapping[str, Any]]) -> StagedFile:
        """Write the assignments of one partition; meant to be called where they were computed.

        Writing the same rows again gives the same bytes at the same path, so that a repeated task does no harm.

        Parameters
        ----------
        partition : int
            Position of the partition in its source.
        batches : iterable of pyarrow.Table or mapping of str to arrays
            Columns of `STAGED_ASSIGNMENTS`; each batch becomes a row group. Only one is held in memory.

        Returns
        -------
        StagedFile
            The receipt that `finish` wants.

        Raises
        ------
        InvalidInputError
            A column is unknown, missing, of another type, or an id is NULL; names the partition.
        StorageError
            The file cannot be written.
        """
        path = f"assignments-{partition:06d}.parquet"
        rows = 0
        with created(self.filesystem, f"{self.folder}/{path}") as file, _parquet(file) as writer:
            for number, batch in enumerate(batches):
                table = _conform_batch(batch, f"partition {partition}, batch {number}")
                writer.write_table(table, row_group_size=max(1, table.num_rows))
                rows += table.num_rows
        return StagedFile(path=path, rows=rows, nbytes=int(self.filesystem.size(f"{self.folder}/{path}")))

    def finish(
        self,
        publications: Sequence[Publication],
        files: Iterable[StagedFile],
        tables: Mapping[str, pa.Table | Sequence[Mapping[str, Any]]],
        *,
        entity: str = "snapshot",
        checked: bool = False,
        at: Callable[[str], None] = pass_by,
    ) -> None:
        """Write the small tables and then the manifest, which makes the attempt complete.

        Parameters
        ----------
        publications : sequence of Publication
            What to publish: one per date.
        files : iterable of StagedFile
            Receipts of all partitions.
        tables : mapping
            The run's small tables, by name; see `conform_tables`.
        entity : {"event", "snapshot"}, default "snapshot"
            See `Release`.
        checked : bool, default False
            See `StagedRows`: what was checked with `check_staged` is not checked again.
        at : callable
            Called with the name of every point at which a crash must do no harm.

        Raises
        ------
        InvalidInputError
            The publications are of another run, or a table has not the columns it should.
        """
        if {p.run_id for p in publications} != {self.run_id}:
            raise InvalidInputError(f"the publications staged in {self.folder} must all name run {self.run_id}")
        receipts = sorted(files, key=lambda receipt: receipt.path)
        written = [self._write_table(name, rows) for name, rows in conform_tables(publications[0], tables).items()]
        at("tables staged")
        manifest = {
            "version": MANIFEST_VERSION,
            "entity": entity,
            "checked": checked,
            "publications": [asdict(publication) for publication in publications],
            "assignments": [asdict(receipt) for receipt in receipts],
            "tables": [asdict(receipt) for receipt in written],
        }
        with created(self.filesystem, f"{self.folder}/{MANIFEST}") as file:
            file.write(json.dumps(manifest, indent=1, sort_keys=True, default=date.isoformat).encode())

    def _write_table(self, name: str, rows: pa.Table) -> StagedFile:
        path = f"table-{name}.parquet"
        with created(self.filesystem, f"{self.folder}/{path}") as file:
            pq.write_table(rows, file)
        return StagedFile(path=path, rows=rows.num_rows, nbytes=int(self.filesystem.size(f"{self.folder}/{path}")))

    def load(self) -> Release:
        """Return what a complete attempt holds, ready to be published.

        Raises
        ------
        WarehouseError
            The attempt is not complete, or was staged by a newer version.
        """
        manifest = self._manifest()
        if manifest is None:
            raise WarehouseError(f"{self.folder} holds no complete attempt at run {self.run_id}: compute it again")
        if manifest["version"] > MANIFEST_VERSION:
            version = manifest["version"]
            raise WarehouseError(f"{self.folder} was staged by a newer gmmdask (manifest version {version}): upgrade")
        files = manifest["assignments"]
        return Release(
            publications=tuple(
                Publication(**{**row, "dt": date.fromisoformat(row["dt"])}) for row in manifest["publications"]
            ),
            tables={_table_name(receipt["path"]): self._read_table(receipt["path"]) for receipt in manifest["tables"]},
            staged=StagedRows(
                filesystem=self.filesystem,
                paths=tuple(f"{self.folder}/{receipt['path']}" for receipt in files),
                rows=sum(receipt["rows"] for receipt in files),
                checked=manifest.get("checked", False),
            ),
            entity=manifest.get("entity", "snapshot"),
        )

    def _read_table(self, path: str) -> pa.Table:
        full = f"{self.folder}/{path}"
        with reaching(full), self.filesystem.open(full, "rb") as file:
            return pq.read_table(file)

    @property
    def is_complete(self) -> bool:
        """Whether there is a manifest and every file that it names has its size."""
        return self._manifest() is not None

    def last_written(self) -> datetime:
        """Return when a file of the attempt was last written; of an empty folder, when it was made."""
        with reaching(self.folder):
            paths = self.filesystem.find(self.folder) or [self.folder]
            written: list[datetime] = [self.filesystem.modified(path) for path in paths]
        return max(written)

    def _manifest(self) -> dict[str, Any] | None:
        present = sizes(self.filesystem, self.folder)
        if f"{self.folder}/{MANIFEST}" not in present:
            return None
        with reaching(self.folder):
            try:
                manifest: dict[str, Any] = json.loads(self.filesystem.cat_file(f"{self.folder}/{MANIFEST}"))
            except FileNotFoundError:  # another process published the run since the files were listed
                return None
        receipts = manifest["assignments"] + manifest["tables"]
        whole = all(present.get(f"{self.folder}/{receipt['path']}") == receipt["nbytes"] for receipt in receipts)
        return manifest if whole else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Staging:
    """The staging area under one root; see `open_staging`."""

    filesystem: Any = field(repr=False)
    folder: str

    def begin(self, run_id: str) -> Attempt:
        """Return a new attempt at a run, in a folder that no other process writes to."""
        names = [attempt.folder.rpartition("/")[2] for attempt in self.attempts(run_id)]
        number = 1 + max((int(name.partition("-")[0]) for name in names), default=0)
        return self._attempt(run_id, f"{number:03d}-{secrets.token_hex(4)}")

    def complete(self, run_id: str) -> Attempt | None:
        """Return the latest complete attempt at a run, if there is one."""
        return next((attempt for attempt in reversed(self.attempts(run_id)) if attempt.is_complete), None)

    def waiting(self) -> list[Attempt]:
        """Return the latest complete attempt of every run that has one, in the order of their run ids."""
        found = (self.complete(name) for name in subfolders(self.filesystem, self.folder))
        return [attempt for attempt in found if attempt is not None]

    def abandoned(self, before: datetime) -> list[Attempt]:
        """Return the incomplete attempts to which nothing was written since a time: their processes were killed."""
        runs = subfolders(self.filesystem, self.folder)
        incomplete = [attempt for run_id in runs for attempt in self.attempts(run_id) if not attempt.is_complete]
        return [attempt for attempt in incomplete if attempt.last_written() < before]

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return all attempts at a run, the latest last."""
        names = [name for name in subfolders(self.filesystem, f"{self.folder}/{run_id}") if ATTEMPT.fullmatch(name)]
        return [self._attempt(run_id, name) for name in sorted(names, key=lambda name: int(name.partition("-")[0]))]

    def remove(self, run_id: str, *, keep: Attempt | None = None) -> int:
        """Remove the attempts at a run but the one to keep, and return how many went."""
        superseded = [attempt for attempt in self.attempts(run_id) if keep is None or attempt.folder != keep.folder]
        with reaching(f"{self.folder}/{run_id}"):
            for attempt in superseded:
                self._clear(attempt.folder)
            if keep is None and self.filesystem.isdir(f"{self.folder}/{run_id}"):
                self._clear(f"{self.folder}/{run_id}")
        return len(superseded)

    def discard(self, attempt: Attempt) -> None:
        """Remove one attempt; others at the same run, which may be those of other processes, stay."""
        run = f"{self.folder}/{attempt.run_id}"
        with reaching(attempt.folder):
            if self.filesystem.isdir(attempt.folder):
                self._clear(attempt.folder)
            if self.filesystem.isdir(run) and not self.filesystem.ls(run, detail=False):
                self._clear(run)

    def _clear(self, folder: str) -> None:
        with suppress(FileNotFoundError):  # another process may clear the same run at the same time
            self.filesystem.rm(folder, recursive=True)

    def _attempt(self, run_id: str, name: str) -> Attempt:
        return Attempt(filesystem=self.filesystem, folder=f"{self.folder}/{run_id}/{name}", run_id=run_id)


def open_staging(root: str, storage_options: Mapping[str, Any] | None = None) -> Staging:
    """Return the staging area under a root on any fsspec filesystem; nothing is created yet.

    Parameters
    ----------
    root : str
        A path or URI: `/data/lake-house`, `s3://bucket/prefix`, `memory://house`.
    storage_options : mapping, optional
        For the filesystem. Credentials belong in the environment instead.
    """
    filesystem, path = open_storage(root, storage_options)
    return Staging(filesystem=filesystem, folder=f"{path.rstrip('/')}/staging")


def _conform_batch(batch: pa.Table | Mapping[str, Any], where: str) -> pa.Table:
    try:
        return conform(STAGED_ASSIGNMENTS, batch if isinstance(batch, pa.Table) else pa.table(dict(batch)), {})
    except (InvalidInputError, pa.ArrowException) as error:
        raise InvalidInputError(f"{where}: {error}") from error


def _table_name(path: str) -> str:
    return path.removeprefix("table-").removesuffix(".parquet")


def _parquet(file: Any) -> pq.ParquetWriter:
    # Ids and doubles hardly repeat: a dictionary of them, or a slower compression, costs time and saves nothing.
    few_values = ["dt", "segment_id", "component", "status"]
    return pq.ParquetWriter(
        file,
        STAGED_ASSIGNMENTS.arrow_schema,
        compression="lz4",
        use_dictionary=few_values,  # type: ignore[arg-type]
        write_statistics=False,
    )

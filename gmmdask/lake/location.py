"""Where a lake lives: a folder on any fsspec filesystem, and what goes wrong with one of its files.

Nothing here knows Parquet. A location is a value: it is pickled to workers, which open the filesystem again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any, cast

from fsspec import AbstractFileSystem

from gmmdask.errors import GmmdaskError, UnreadablePartitionError
from gmmdask.storage import concerns_access, explain, open_storage, reaching, refusal, shown, without_secrets

SUFFIXES = (".parquet", ".parq", ".pq")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True, kw_only=True)
class Location:
    """A folder of Parquet files (or a single one) on a filesystem that is opened on demand.

    Parameters
    ----------
    uri : str
        Local folder, or a URI that fsspec knows (`file://`, `s3://`, `memory://`).
    storage_options : mapping
        Passed to the filesystem; may hold credentials, so it is never printed.
    """

    uri: str
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"Location(uri={self.shown!r})"

    @property
    def shown(self) -> str:
        """The URI without credentials."""
        return shown(self.uri)

    def open_filesystem(self) -> tuple[Any, str]:
        """Return the fsspec filesystem and the root path on it.

        Raises
        ------
        StorageError
            The protocol is unknown or its options are not accepted.
        """
        filesystem, root = open_storage(self.uri, self.storage_options)
        return filesystem, root.rstrip("/") or "/"

    def resolve(self) -> Location:
        """Return the same location independent of the folder that a process happens to work in.

        Raises
        ------
        StorageError
            The protocol is unknown or its options are not accepted.
        """
        filesystem, root = self.open_filesystem()
        if "file" not in filesystem.protocol:
            return self
        return replace(self, uri=filesystem.unstrip_protocol(root))

    def list_files(self) -> dict[str, str]:
        """Return the fingerprint of every Parquet file by its path relative to the root.

        Raises
        ------
        StorageError
            There is no such folder or bucket, it cannot be reached, or a folder in it may not be listed.
        """
        filesystem, root = self.open_filesystem()
        with reaching(self.uri, self.storage_options):
            filesystem.invalidate_cache()
            found = _find(filesystem, root, self.storage_options)
            if not found and not filesystem.exists(root):
                raise FileNotFoundError(f"no such path: {self.shown}")
        fingerprints = {_relative(path, root): fingerprint_of(info) for path, info in found.items()}
        return {path: fingerprint for path, fingerprint in fingerprints.items() if _is_data(path)}

    @contextmanager
    def open_file(self, path: str, fingerprint: str | None = None) -> Iterator[IO[bytes]]:
        """Open a file below the root and translate what goes wrong within the block.

        Parameters
        ----------
        path : str
            Path relative to the root.
        fingerprint : str, optional
            What the file had when it was listed.

        Raises
        ------
        UnreadablePartitionError
            The file is gone, changed since it was listed, or its content cannot be read.
        StorageError
            The store refuses the credentials or does not answer.
        """
        filesystem, root = self.open_filesystem()
        full = root if path == PurePosixPath(root).name and not filesystem.isdir(root) else f"{root.rstrip('/')}/{path}"
        with unreadable(path):
            filesystem.invalidate_cache(filesystem._parent(full))
            with filesystem.open(full, "rb", cache_type="none") as file:
                if fingerprint is not None:
                    # What opening asked a store is not asked again.
                    _require_unchanged(getattr(file, "details", None) or filesystem.info(full), path, fingerprint)
                yield cast("IO[bytes]", file)


def fingerprint_of(info: Mapping[str, Any]) -> str:
    """Return the etag of a listed file, else its size and modification time."""
    etag = info.get("ETag") or info.get("etag")
    if etag:
        return str(etag).strip('"')
    time = next((info[key] for key in _TIMES if info.get(key) is not None), "")
    # Some filesystems list a number and tell a date when asked for a single file.
    seconds = time.timestamp() if isinstance(time, datetime) else time
    return f"{info.get('size')}-{seconds}"


@contextmanager
def unreadable(partition: str) -> Iterator[None]:
    """Translate any foreign error into one that names the partition.

    Decoders raise a wide family of errors on damaged bytes, and filesystems bring their own; whoever reads a
    partition needs to know which one it was.
    """
    try:
        yield
    except GmmdaskError:
        raise
    except FileNotFoundError as error:
        raise UnreadablePartitionError(
            f"partition {partition!r} is gone since the lake was opened; open the lake again"
        ) from error
    except Exception as error:
        if concerns_access(error):
            raise explain(error, partition, said_by="partition ") from error
        if (refused := refusal(error)) is not None:
            raise UnreadablePartitionError(
                f"partition {partition!r} cannot be read: {without_secrets(refused)}"
            ) from error
        raise UnreadablePartitionError(
            f"partition {partition!r} cannot be read ({type(error).__name__}: {without_secrets(str(error))}); "
            "restore or remove the file, then open the lake again"
        ) from error


def _require_unchanged(info: Mapping[str, Any], path: str, fingerprint: str) -> None:
    now = fingerprint_of(info)
    if now != fingerprint:
        raise UnreadablePartitionError(
            f"partition {path!r} was rewritten since the lake was opened (it was {fingerprint}, it is {now}); "
            "open the lake again"
        )


def _find(filesystem: Any, root: str, options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is known of every file below a root, by its path.

    fsspec's own walk passes over folders that cannot be listed. Stores list by prefix and have no such folders.
    """
    kind = type(filesystem)
    if kind.find is AbstractFileSystem.find and kind.walk is AbstractFileSystem.walk:
        return dict(_walk(filesystem, root, root, options))
    found: dict[str, Mapping[str, Any]] = filesystem.find(root, detail=True)
    return found


def _walk(
    filesystem: Any, folder: str, root: str, options: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        listed = filesystem.ls(folder, detail=True)
    except FileNotFoundError:
        return  # tidied away meanwhile; whether there ever was a root is for the caller to find out
    except OSError as error:
        raise explain(error, folder, options) from error
    for info in listed:
        path = info["name"].rstrip("/")
        if info["type"] != "directory" or path == folder:
            yield path, info
        elif not _is_hidden(_relative(path, root)):
            yield from _walk(filesystem, path, root, options)


def _relative(path: str, root: str) -> str:
    if path == root:
        return PurePosixPath(path).name
    return path[len(root.rstrip("/")) + 1 :]


def _is_data(path: str) -> bool:
    return path.endswith(SUFFIXES) and not _is_hidden(path)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in PurePosixPath(path).parts)

"""Files on any fsspec filesystem: created whole, listed past any cache. What they hold is not known here."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gmmdask.errors import GmmdaskError, StorageError

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Protocols without real folders: asking for one costs a request, and on S3 may even create a bucket."""


@contextmanager
def created(filesystem: Any, path: str) -> Iterator[Any]:
    """Yield a file that appears at its path only once it is whole, as objects in a store do anyway.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    with reaching(path):
        if not OBJECT_STORES.intersection(_protocols(filesystem)):
            filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        if is_local(filesystem):
            with _created_on_disk(path) as file:
                yield file
        else:
            with filesystem.open(path, "wb") as file:
                yield file


@contextmanager
def _created_on_disk(path: str) -> Iterator[Any]:
    partial = Path(f"{path}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reaching(path: str) -> Iterator[None]:
    """Translate the errors of storage in a block that reads or writes a path.

    Raises
    ------
    StorageError
        The path is gone, refuses the credentials, or cannot be reached; names it.
    """
    try:
        yield
    except GmmdaskError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"staging: there is no {path}; check that its bucket or folder exists") from error
    except PermissionError as error:
        raise StorageError(f"staging: {path} refused the credentials ({error}); check the environment") from error
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith(("botocore", "aiohttp")):
            raise
        raise StorageError(f"staging: {path} cannot be used ({type(error).__name__}: {error})") from error


def is_local(filesystem: Any) -> bool:
    """Return whether a filesystem is this machine's own disk."""
    return "file" in _protocols(filesystem)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def uris(filesystem: Any, paths: Iterable[str]) -> list[str]:
    """Return paths in the form in which a database reads them: plain if local, else with their protocol."""
    return [path if is_local(filesystem) else str(filesystem.unstrip_protocol(path)) for path in paths]


def sizes(filesystem: Any, folder: str) -> dict[str, int]:
    """Return the size in bytes of every file below a folder, by path; empty where there is no folder."""
    with reaching(folder):
        filesystem.invalidate_cache(folder)
        try:
            found = filesystem.find(folder, detail=True)
        except FileNotFoundError:
            return {}
    return {path: int(entry["size"]) for path, entry in found.items()}


def subfolders(filesystem: Any, folder: str) -> list[str]:
    """Return the names of the folders within a folder, sorted; empty where there is none."""
    with reaching(folder):
        filesystem.invalidate_cache(folder)
        try:
            found = filesystem.ls(folder, detail=True)
        except FileNotFoundError:
            return []
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory")

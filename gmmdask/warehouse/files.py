"""Files on any fsspec filesystem: created whole, listed past any cache. What they hold is not known here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from gmmdask import storage


@contextmanager
def created(filesystem: Any, path: str) -> Iterator[Any]:
    """Yield a file that appears at its path only once it is whole, as objects in a store do anyway.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    with reaching(path):
        if storage.has_folders(filesystem):
            filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        with storage.created(filesystem, path) as file:
            yield file


def reaching(path: str) -> AbstractContextManager[None]:
    """Translate the errors of storage in a block that reads or writes a path of the staging area."""
    return storage.reaching(path, said_by="staging: ")


def is_local(filesystem: Any) -> bool:
    """Return whether a filesystem is this machine's own disk."""
    return storage.is_local(filesystem)


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

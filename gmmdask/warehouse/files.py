"""Files on any fsspec filesystem: created whole, listed past any cache. What they hold is not known here."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def created(filesystem: Any, path: str) -> Iterator[Any]:
    """Yield a file that appears at its path only once it is whole, as objects in a store do anyway."""
    filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
    if not is_local(filesystem):
        with filesystem.open(path, "wb") as file:
            yield file
        return
    partial = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with filesystem.open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        if filesystem.exists(partial):
            filesystem.rm(partial)


def is_local(filesystem: Any) -> bool:
    """Return whether a filesystem is this machine's own disk."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def uris(filesystem: Any, paths: Iterable[str]) -> list[str]:
    """Return paths in the form in which a database reads them: plain if local, else with their protocol."""
    return [path if is_local(filesystem) else str(filesystem.unstrip_protocol(path)) for path in paths]


def sizes(filesystem: Any, folder: str) -> dict[str, int]:
    """Return the size in bytes of every file below a folder, by path; empty where there is no folder."""
    filesystem.invalidate_cache(folder)
    if not filesystem.exists(folder):
        return {}
    return {path: int(found["size"]) for path, found in filesystem.find(folder, detail=True).items()}


def subfolders(filesystem: Any, folder: str) -> list[str]:
    """Return the names of the folders within a folder, sorted; empty where there is none."""
    filesystem.invalidate_cache(folder)
    if not filesystem.exists(folder):
        return []
    found = filesystem.ls(folder, detail=True)
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory")

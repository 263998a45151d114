"""The bundle: what it holds, its two files, and how it is read back only if it is whole.

A bundle is a folder with `arrays.npz` (no pickles) and, written last, `bundle.json` with everything else and the
fingerprint of both. A folder without `bundle.json` is an interrupted attempt and counts as nothing.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.storage import created, has_folders, open_storage, reaching, shown

FORMAT_VERSION = 1
ARRAYS, DOCUMENT = "arrays.npz", "bundle.json"
_NO_DOCUMENT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
PACKAGES = ("gmmdask", "numpy", "scipy", "numba", "scikit-learn", "dask")


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One named value of a bundle.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Of numbers, booleans or fixed-width text; never of objects.
    document : mapping
        What JSON can hold; infinities and NaN too.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """Named parts and the versions of what made them.

    Parameters
    ----------
    kind : str
        What the parts are together, for example "mixture".
    parts : mapping of str to Part
    versions : mapping of str to str
        Packages that made it; filled in when it is saved.
    fingerprint : str
        Of kind and parts, whatever the versions; empty until it is saved.
    """

    kind: str
    parts: Mapping[str, Part]
    versions: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""

    def part(self, name: str) -> Part:
        """Return a part.

        Raises
        ------
        InvalidInputError
            There is none of this name.
        """
        if name not in self.parts:
            raise InvalidInputError(
                f"The bundle of kind {self.kind!r} has no part {name!r}; it has {sorted(self.parts)}."
            )
        return self.parts[name]


def _pass_by(_: str) -> None:
    """Do nothing at a named point."""


def save_bundle(
    bundle: Bundle,
    uri: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    replace_damaged: bool = False,
    at: Callable[[str], None] = _pass_by,
) -> str:
    """Write a bundle to a folder and return its fingerprint; the same bundle again changes nothing, and mends damage.

    Parameters
    ----------
    bundle : Bundle
    uri : str
        A folder on any filesystem that fsspec knows.
    storage_options : mapping, optional
        Given to the filesystem.
    replace_damaged : bool, default False
        Replace whatever bundle is there if it is not whole; otherwise only one that was this one, or cannot be told.
    at : callable
        Called with the name of every point at which a crash must do no harm.

    Raises
    ------
    InvalidInputError
        Another bundle is there (bundles never change), or an array holds objects.
    StorageError
        The place cannot be reached or written.
    """
    arrays = _packed(bundle)
    content = {
        "format": FORMAT_VERSION,
        "kind": bundle.kind,
        "parts": {name: dict(part.document) for name, part in bundle.parts.items()},
    }
    fingerprint = _fingerprint(content, arrays)
    with _reaching(uri, storage_options, "written") as (filesystem, root):
        if filesystem.exists(f"{root}/{DOCUMENT}"):
            there, is_whole = _there(filesystem, root)
            if there not in (None, fingerprint) and (is_whole or not replace_damaged):
                raise InvalidInputError(
                    f"{uri} already holds another bundle ({there}, this one is {fingerprint}). "
                    "A bundle never changes after it is written; choose another place."
                )
            if is_whole:
                return fingerprint
        if has_folders(filesystem):
            filesystem.makedirs(root, exist_ok=True)
        _write(filesystem, f"{root}/{ARRAYS}", arrays)
        at("bundle arrays written")
        document = {**content, "versions": _versions(), "fingerprint": fingerprint}
        _write(filesystem, f"{root}/{DOCUMENT}", json.dumps(document, indent=1, sort_keys=True).encode())
    return fingerprint


def _write(filesystem: Any, path: str, content: bytes) -> None:
    with created(filesystem, path) as file:
        file.write(content)


def load_bundle(uri: str, *, storage_options: Mapping[str, Any] | None = None) -> Bundle:
    """Read a bundle, making sure that it is what was saved.

    Raises
    ------
    StorageError
        There is no bundle, or the place cannot be reached.
    InvalidInputError
        It was damaged or changed since it was saved, or a newer gmmdask wrote it.
    """
    with _reaching(uri, storage_options, "read") as (filesystem, root):
        document = filesystem.cat_file(f"{root}/{DOCUMENT}")
        try:
            arrays = filesystem.cat_file(f"{root}/{ARRAYS}")
        except FileNotFoundError as error:
            raise InvalidInputError(f"{shown(uri)}/{ARRAYS} is missing; restore it or train again.") from error
    return _opened(document, arrays, uri)


def list_bundles(uri: str, *, storage_options: Mapping[str, Any] | None = None) -> list[str]:
    """Return the names of the whole bundles directly below a folder, in order; none where it does not exist.

    Raises
    ------
    StorageError
        The place cannot be reached.
    """
    with _reaching(uri, storage_options, "listed") as (filesystem, root):
        found = filesystem.glob(f"{root}/*/{DOCUMENT}")
    return sorted(path.split("/")[-2] for path in found)


def _opened(document: bytes, arrays: bytes, uri: str) -> Bundle:
    try:
        read = json.loads(document)
        known, found = read["format"], read.pop("fingerprint")
        versions = read.pop("versions")
    except _NO_DOCUMENT as error:
        raise InvalidInputError(
            f"{uri}/{DOCUMENT} is damaged ({type(error).__name__}: {error}); restore it or train again."
        ) from error
    if known != FORMAT_VERSION:
        raise InvalidInputError(
            f"{uri} has format {known!r} and this gmmdask reads format {FORMAT_VERSION}; it was written by {_age(known)} "
            f"gmmdask, {_maker(versions)}. Install that version, or train again."
        )
    expected = _fingerprint(read, arrays)
    if found != expected:
        raise InvalidInputError(
            f"{uri} is not what was saved: its content has the fingerprint {expected}, and {found} was written down. "
            "A bundle never changes after it is written; restore it or train again."
        )
    try:
        kind, parts = read["kind"], _unpacked(read["parts"], arrays)
    except KeyError as error:
        raise InvalidInputError(
            f"{uri}/{DOCUMENT} is damaged: it does not name {error}, which belongs to the bundle; restore it or train again."
        ) from error
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInputError(f"{uri}/{ARRAYS} is damaged ({type(error).__name__}: {error}).") from error
    known_versions = versions if isinstance(versions, dict) else {}
    return Bundle(kind=kind, parts=parts, versions=known_versions, fingerprint=found)


def _maker(versions: object) -> str:
    named = versions.get("gmmdask") if isinstance(versions, dict) else None
    return str(named or "of an unknown version")


def _age(found: object) -> str:
    return ("a newer" if found > FORMAT_VERSION else "an older") if isinstance(found, int) else "another"


def _packed(bundle: Bundle) -> bytes:
    named = {
        f"{name}/{key}": np.asarray(array) for name, part in bundle.parts.items() for key, array in part.arrays.items()
    }
    objects = [name for name, array in named.items() if array.dtype.hasobject]
    if objects:
        raise InvalidInputError(f"Arrays of objects cannot be stored: {objects}. Bundles hold numbers and text only.")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in sorted(named):
            one = io.BytesIO()
            np.lib.format.write_array(one, named[name], allow_pickle=False)
            # A fixed time stamp: equal bundles are equal bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), one.getvalue())
    return written.getvalue()


def _unpacked(documents: Mapping[str, Any], arrays: bytes) -> dict[str, Part]:
    by_part: dict[str, dict[str, NDArray[Any]]] = {name: {} for name in documents}
    with np.load(io.BytesIO(arrays), allow_pickle=False) as archive:
        for full in archive.files:
            name, _, key = full.partition("/")
            by_part[name][key] = archive[full]
    return {name: Part(arrays=by_part[name], document=document) for name, document in documents.items()}


def _fingerprint(content: Mapping[str, Any], arrays: bytes) -> str:
    digest = blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16)
    digest.update(arrays)
    return digest.hexdigest()


def _there(filesystem: Any, root: str) -> tuple[object, bool]:
    """Return the fingerprint written down by what is there, None if it is no document, and whether it is to be left."""
    try:
        read = json.loads(filesystem.cat_file(f"{root}/{DOCUMENT}"))
        known, written, _ = read["format"], read.pop("fingerprint"), read.pop("versions")
    except _NO_DOCUMENT:
        return None, False
    if known != FORMAT_VERSION:
        return written, True
    try:
        return written, written == _fingerprint(read, filesystem.cat_file(f"{root}/{ARRAYS}"))
    except FileNotFoundError:
        return written, False


def _versions() -> dict[str, str]:
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@contextmanager
def _reaching(uri: str, storage_options: Mapping[str, Any] | None, verb: str) -> Iterator[tuple[Any, str]]:
    filesystem, root = open_storage(uri, storage_options)
    with reaching(uri, storage_options, f"the bundle cannot be {verb}: "):
        yield filesystem, root.rstrip("/")

"""Any address that fsspec knows: opened with the same patience everywhere, its errors told in our words.

Nothing here knows what is stored. Credentials are never arguments of this module's making: s3fs and its like read them
from the environment or their usual files, on every machine anew, so they travel to no worker and stand in no message.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from gmmdask.errors import GmmdaskError, InvalidInputError, StorageError

S3 = ("s3", "s3a")
OBJECT_STORES = {*S3, "gs", "gcs", "abfs", "abfss", "az", "memory"}
"""Protocols without real folders: asking for one costs a request, and on S3 may even create a bucket."""

S3_PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""For botocore, unless storage options say otherwise. s3fs tries five times on top of it: two seconds where nothing
listens, half a minute and more where packets vanish. Its defaults would wait five times as long."""

# A secret may hold slashes, and a folder an @: user and password are what ends at the last @ behind a colon.
_CREDENTIALS = r"(?:[^/@]*@|[^@]*:.*@)"
_USER_INFORMATION = re.compile(rf"(?<=://){_CREDENTIALS}|\?.*$")
_SECRET_NAMES = re.compile("key|secret|token|pass|sas|credential|connection_string", re.IGNORECASE)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_CLIENTS = {"botocore", "aiobotocore", "aiohttp", "requests", "gcsfs", "google", "adlfs", "azure"}
_WITHOUT_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
}
_WITHOUT_ANSWER = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "HTTPClientError"}


def open_storage(uri: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Return the filesystem of an address and the path on it. Reaches nothing yet.

    Parameters
    ----------
    uri : str
        A local path, or any address that fsspec knows.
    options : mapping, optional
        Given to the filesystem.

    Raises
    ------
    InvalidInputError
        The address is empty or holds credentials.
    StorageError
        The protocol is unknown, or the options are not accepted.
    """
    if not uri or re.match(rf"[\w+.-]+://{_CREDENTIALS}", uri):
        raise InvalidInputError(
            f"the address {shown(uri)!r} is empty or held credentials; name a folder or bucket, and give credentials in"
            " the environment or the usual credentials file"
        )
    given = dict(options or {})
    if uri.partition("://")[0] in S3:
        given["config_kwargs"] = {**S3_PATIENCE, **given.get("config_kwargs", {})}
    try:
        filesystem, path = fsspec.core.url_to_fs(uri, **given)
    except Exception as error:
        raise explain(error, uri, options) from error
    return filesystem, str(path)


@contextmanager
def reaching(place: str, options: Mapping[str, Any] | None = None, said_by: str = "") -> Iterator[None]:
    """Translate the errors of storage in a block that reaches for a place.

    Parameters
    ----------
    place : str
        Address or path; shown without credentials.
    options : mapping, optional
        Of its filesystem; what is secret among them is hidden.
    said_by : str, optional
        What the message begins with.

    Raises
    ------
    StorageError
        The place is not there, refuses the credentials, or cannot be reached.
    """
    try:
        yield
    except GmmdaskError:
        raise
    except Exception as error:
        if not is_of_storage(error):
            raise
        raise explain(error, place, options, said_by) from error


@contextmanager
def created(filesystem: Any, path: str) -> Iterator[Any]:
    """Yield a file that appears at its path only once it is whole and on the disk, as objects in a store do anyway."""
    if not is_local(filesystem):
        with filesystem.open(path, "wb") as file:
            yield file
        return
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    partial = Path(f"{path}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("wb") as file:
            yield file
            # Else a loss of power may leave the name and lose the content.
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def is_of_storage(error: Exception) -> bool:
    """Return whether an error is one that filesystems raise: of the system, or of an object store's client."""
    return isinstance(error, OSError) or _is_of_client(error)


def concerns_access(error: Exception) -> bool:
    """Return whether a store refused or did not answer, so that the fault is not the file's."""
    refused = isinstance(error, PermissionError) and error.__cause__ is not None
    return (
        refused or bool(_names(error) & (_WITHOUT_CREDENTIALS | _WITHOUT_ANSWER)) or _missing_bucket(error) is not None
    )


def explain(error: Exception, place: str, options: Mapping[str, Any] | None = None, said_by: str = "") -> StorageError:
    """Return the error that says in one sentence what happened at a place and what to do about it."""
    where = f"{said_by}{shown(place)}"
    told = without_secrets(str(error).replace(place, shown(place)), options)
    if (bucket := _missing_bucket(error)) is not None:
        return StorageError(f"{where}: there is no bucket {bucket!r}; create it, or correct the address")
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{said_by}there is no folder or bucket {shown(place)!r}; check the address")
    if _names(error) & _WITHOUT_CREDENTIALS:
        return StorageError(f"{where} asks for credentials and there are none; {_REMEDY}")
    if isinstance(error, OSError) and error.errno in _FULL:
        return StorageError(f"{where} cannot be written: {error.strerror}; make room there and run this again")
    if (refused := refusal(error)) is not None:
        return StorageError(f"{where} cannot be used: {without_secrets(refused, options)}")
    if isinstance(error, PermissionError):
        return StorageError(f"{where} refused the credentials ({told}); {_REMEDY}")
    if _names(error) & _WITHOUT_ANSWER:
        return StorageError(
            f"{where} cannot be reached: no answer from {_endpoint(error)}; check the network and the endpoint "
            "(AWS_ENDPOINT_URL, or endpoint_url in the storage options)"
        )
    return StorageError(f"{where} cannot be used ({type(error).__name__}: {told})")


def refusal(error: Exception) -> str | None:
    """Return what a file system of this machine refused and what to do about it; None for all other errors."""
    # What a store refuses is told by its client: it names no file of this machine, and its cause is another error.
    if not isinstance(error, OSError) or error.filename is None or error.__cause__ is not None:
        return None
    if error.errno == errno.EROFS:
        return f"{str(error.filename)!r} is on a read-only file system; mount it for writing, or name another folder"
    if error.errno == errno.EISDIR:
        return f"{str(error.filename)!r} is a folder; name a file in it"
    if error.errno in _DENIED:
        return (
            f"this user has no permission for {str(error.filename)!r}; change its permissions (ls -ld shows them), "
            "run this as a user who has them, or name another folder"
        )
    return None


_DENIED = (errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REMEDY = (
    "check the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE) of this machine and of the workers"
)


def shown(uri: str) -> str:
    """Return an address without the credentials that it may hold.

    Examples
    --------
    >>> shown("s3://key:secret@bucket/lake?token=secret")
    's3://bucket/lake'
    """
    return _USER_INFORMATION.sub("", uri)


def without_secrets(text: str, options: Mapping[str, Any] | None = None) -> str:
    """Return a text with all that is secret among options and in the environment replaced by stars."""
    variables = (os.environ.get(name, "") for name in _SECRET_VARIABLES)
    for secret in (*_secrets(options or {}), *filter(None, variables)):
        text = text.replace(secret, "***")
    return text


def has_folders(filesystem: Any) -> bool:
    """Return whether folders exist apart from the files in them, and must be made first."""
    return not OBJECT_STORES.intersection(protocols(filesystem))


def is_local(filesystem: Any) -> bool:
    """Return whether a filesystem is this machine's own disk."""
    return "file" in protocols(filesystem)


def protocols(filesystem: Any) -> tuple[str, ...]:
    """Return the names by which addresses ask for a filesystem."""
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif isinstance(value, str) and value and _SECRET_NAMES.search(name):
            yield value


def _is_of_client(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in _CLIENTS


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__} if _is_of_client(error) else set()


def _missing_bucket(error: Exception) -> str | None:
    """Return the bucket that S3 says does not exist, if that is what it says."""
    answer = getattr(error.__cause__ or error, "response", None)
    told = answer.get("Error", {}) if isinstance(answer, Mapping) else {}
    return str(told.get("BucketName", "")) if told.get("Code") == "NoSuchBucket" else None


def _endpoint(error: Exception) -> str:
    address = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
    return (
        f"{address.scheme}://{address.hostname}:{address.port}" if address.port else address.hostname or "its endpoint"
    )

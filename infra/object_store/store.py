"""The object store as its user sees it: started, asked for its endpoint and credentials, ended.

What runs is `infra.object_store.server` in the environment of `infra.object_store.environment`.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from infra.object_store.environment import ROOT, ensure_environment

KEY = "gmmdask:nightly"
REGION = "us-east-1"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0
LOG = "server.log"


class ObjectStoreError(RuntimeError):
    """The object store did not start; says what it wrote last."""


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """A running object store.

    Parameters
    ----------
    endpoint : str
        Address of its S3 interface.
    secret : str
        Chosen anew at every start; never printed.
    pid : int
        The process.
    """

    endpoint: str
    secret: str = field(repr=False)
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which botocore, and all that is built on it, reach the store."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
        }


@contextmanager
def open_object_store(folder: Path) -> Iterator[ObjectStore]:
    """Serve a folder as an object store for the length of the block; what it holds is there the next time.

    The server ends with the block, and also if this process is killed.

    Parameters
    ----------
    folder : Path
        Where objects, rings and configuration are kept; on a filesystem with extended attributes.

    Raises
    ------
    EnvironmentUnavailableError
        Swift cannot be installed.
    ObjectStoreError
        The server ended, or did not answer in time.
    """
    python = ensure_environment()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _require_attributes(folder)
    secret = secrets.token_hex(20)
    with (folder / LOG).open("w", encoding="utf-8") as log, _running(python, folder, log) as server:
        port = _start(server, folder, secret)
        yield ObjectStore(endpoint=f"http://127.0.0.1:{port}", secret=secret, pid=server.pid)


@contextmanager
def _running(python: Path, folder: Path, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [python, "-W", "ignore", "-m", "infra.object_store.server", str(folder)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C is for whoever opened the store, who then ends it
    )
    try:
        yield server
    finally:
        _stop(server)


def _start(server: subprocess.Popen[str], folder: Path, secret: str) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    given, told = server.stdin, server.stdout
    assert given is not None
    assert told is not None
    try:
        given.write(json.dumps({"key": KEY, "secret": secret}) + "\n")
        given.flush()
        port = int(_first_line(told, deadline))
        _await_answer(port, deadline)
    except (OSError, ValueError, http.client.HTTPException) as error:
        written = (folder / LOG).read_text(encoding="utf-8").strip().splitlines() or ["nothing"]
        raise ObjectStoreError(
            f"the object store in {folder} did not start within {START_TIMEOUT:g} s; it wrote: {written[-1]}"
        ) from error
    return port


def _first_line(told: IO[str], deadline: float) -> str:
    with selectors.DefaultSelector() as selector:
        selector.register(told, selectors.EVENT_READ)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("no port was told")
    return told.readline()


def _await_answer(port: int, deadline: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=max(0.1, deadline - time.monotonic()))
    try:
        connection.request("GET", "/healthcheck")
        answer = connection.getresponse()
        if answer.read() != b"OK":
            raise ValueError(f"the answer has status {answer.status}")
    finally:
        connection.close()


def _stop(server: subprocess.Popen[str]) -> None:
    for pipe in (server.stdin, server.stdout):
        if pipe is not None:
            pipe.close()
    try:
        server.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _require_attributes(folder: Path) -> None:
    """Swift keeps what it knows of an object in extended attributes of its file."""
    probe = folder / ".probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except OSError as error:
        raise ObjectStoreError(
            f"{folder} is on a filesystem without extended attributes ({error.strerror}), which Swift needs: "
            "choose a folder elsewhere"
        ) from error
    finally:
        probe.unlink()

"""The environment that Swift runs in: made from its lock on first use, and used again until the lock changes.

It is apart from the project's own because Swift wants other packages, and other versions, than gmmdask does.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra" / "requirements-object-store.txt"
ENVIRONMENT = ROOT / ".venv-object-store"
PIP = (
    "-m",
    "pip",
    "install",
    "-qq",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
    "--require-hashes",
    "-r",
)


class EnvironmentUnavailableError(RuntimeError):
    """The environment cannot be made; says what pip said."""


def ensure_environment(folder: Path = ENVIRONMENT, lock: Path = LOCK) -> Path:
    """Return the interpreter of an environment that holds what the lock names.

    Processes that want it at the same time wait for the one that makes it.

    Raises
    ------
    EnvironmentUnavailableError
        It cannot be made: no network, no wheel for this machine, no venv module.
    """
    python = folder / "bin" / "python"
    expected = sha256(lock.read_bytes()).hexdigest()
    with _alone(lock):
        if _made_from(folder) != expected:
            _make(folder, python, lock)
            _marker(folder).write_text(expected, encoding="utf-8")
    return python


def _make(folder: Path, python: Path, lock: Path) -> None:
    print(f"Installing the object store's packages into {folder.name} ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
        for arguments in ((*PIP, str(lock)), ("-m", "pip", "check")):
            subprocess.run([python, *arguments], check=True, text=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = " ".join(str(getattr(error, name, None) or "") for name in ("stdout", "stderr")).split("\n")
        reason = next((line for line in reversed(said) if line.strip()), str(error)).strip()
        raise EnvironmentUnavailableError(
            f"the object store's environment {folder.name} cannot be made from {lock.name}: {reason}"
        ) from error


def _marker(folder: Path) -> Path:
    return folder / ".installed"


def _made_from(folder: Path) -> str:
    return _marker(folder).read_text(encoding="utf-8") if _marker(folder).is_file() else ""


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Opening a DuckDB file: settings, patience while another process holds it, and errors in our words.

DuckDB lets one process in while it writes, and waits for no one: any open reader refuses the writer at once. So opening is
tried again, with growing pauses, for as long as the caller allows. No table is known here.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from gmmdask.errors import WarehouseBusyError, WarehouseError

MEMORY = ":memory:"
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to wait for others to close the warehouse.

    Parameters
    ----------
    timeout : float, default 600
        Seconds after which to give up.
    clock, sleep : callable
        Where the time comes from, and how to let it pass.
    """

    timeout: float = 600.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What DuckDB may use: memory as it writes it ("2GB"), a folder to spill to, and threads; None leaves its defaults."""

    memory_limit: str | None = None
    temp_directory: str | None = None
    threads: int | None = None


def configuration(limits: Limits) -> dict[str, str | bool | int | float | list[str]]:
    """Return the settings of a connection: the limits, and nothing loaded over the network."""
    chosen: dict[str, str | int | None] = {
        "memory_limit": limits.memory_limit,
        "temp_directory": limits.temp_directory,
        "threads": limits.threads,
    }
    return {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        **{name: value for name, value in chosen.items() if value is not None},
    }


@contextmanager
def opened(path: str, *, limits: Limits, patience: Patience, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a DuckDB file and close it; what was not committed is then as if it never happened.

    Raises
    ------
    WarehouseBusyError
        Another process held it for longer than the patience.
    WarehouseError
        It cannot be opened, or a statement failed.
    """
    connection = _wait_for(path, limits, patience, read_only)
    try:
        yield connection
    except duckdb.Error as error:
        where = "the staged rows cannot be checked" if path == MEMORY else f"warehouse {path}"
        outcome = "" if read_only else "; nothing was written"
        raise WarehouseError(f"{where}: {_reason(error)}{outcome}{_remedy(error)}") from error
    finally:
        connection.close()


def create_file(path: str, limits: Limits) -> None:
    """Make an empty database where there is no file yet: it appears whole or not at all, and never over another's.

    DuckDB itself writes it piece by piece, and what a full disk or a crash left of it could not be opened any more.

    Raises
    ------
    WarehouseError
        It cannot be written.
    """
    if Path(path).exists():
        return
    partial = Path(f"{path}.{secrets.token_hex(4)}.part")
    try:
        with opened(str(partial), limits=limits, patience=Patience(), read_only=False):
            pass
        try:
            os.link(partial, path)
        except FileExistsError:
            pass  # another process was faster
        except OSError:  # a disk without links
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _wait_for(path: str, limits: Limits, patience: Patience, read_only: bool) -> duckdb.DuckDBPyConnection:
    deadline = patience.clock() + patience.timeout
    pause = FIRST_PAUSE
    while True:
        try:
            return duckdb.connect(path, read_only=read_only, config=configuration(limits))
        except duckdb.Error as error:
            blocker = blocking_process(str(error))
            if blocker is None:
                raise WarehouseError(f"cannot open the warehouse {path}: {_reason(error)}{_remedy(error)}") from error
            remaining = deadline - patience.clock()
            if remaining <= 0:
                raise WarehouseBusyError(_busy(path, patience.timeout, blocker)) from error
        patience.sleep(min(pause, remaining))
        pause = min(2 * pause, LONGEST_PAUSE)


def blocking_process(message: str) -> str | None:
    """Return who holds the file according to DuckDB's message, or None if the message is about something else.

    Examples
    --------
    >>> blocking_process("Could not set lock on file: Conflicting lock is held in /usr/bin/python3 (PID 12). See ...")
    'process 12 (/usr/bin/python3)'
    """
    if found := re.search(r"Conflicting lock is held in (.+?) \(PID (\d+)\)", message):
        return f"process {found[2]} ({found[1]})"
    if "different configuration than existing connections" in message:
        return "another connection of this process"
    if "Could not set lock on file" in message or "Conflicting lock" in message:
        identifier = re.search(r"PID (\d+)", message)
        return f"process {identifier[1]}" if identifier else "a process that cannot be named"
    return None


def _busy(path: str, timeout: float, blocker: str) -> str:
    return (
        f"the warehouse {path} is held open by {blocker} and stayed so for {timeout:g} s; nothing was written. "
        "Close it there (a notebook keeps it open until its connection is closed) and run this again"
    )


def _reason(error: duckdb.Error) -> str:
    """Return the line of DuckDB's message that says what happened; a failing filesystem tells it in a traceback."""
    lines = str(error).partition("\n\nLINE ")[0].strip().splitlines()
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _remedy(error: duckdb.Error) -> str:
    """Return the end of a sentence that says what to do about a disk that is full, and nothing for other errors."""
    full = any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    return "; make room on its disk and run this again" if full else ""

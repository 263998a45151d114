"""The ways out for alerts: a line in the log, a command, a webhook. Each returns what went wrong, and never raises.

A webhook's address may hold a secret, and arguments of a command may: neither is ever told.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

Message = Mapping[str, Any]
"""What is delivered of a run, as JSON holds it; `lines` has a sentence an alert, `text` all of them."""

Channel = Callable[[Message], str]
"""Delivers a message and returns why it could not; empty where it could."""


class Unreachable(str):
    """Why a way out takes no message at all just now, so that others need not be tried."""

    __slots__ = ()


PAUSES = (1.0, 4.0)
"""Seconds before a webhook is tried for the second and the third time."""

WORTH_ANOTHER_TRY = {408, 425, 429}
LONGEST_COMPLAINT = 200
READ_BACK = 65_536
"""Bytes of a command's last words that are looked at: enough for no line to be cut within an address."""

SHORTEST_SECRET = 5
WITHHELD = {"GMMDASK_ALERTS", "GMMDASK_ALERTS__WEBHOOK"}
"""Variables that may hold the webhook's address, which is none of a command's business."""

_log = logging.getLogger("gmmdask.alerts")


def log_lines(message: Message) -> str:
    """Write a warning for every alert, a line each."""
    for line in message["lines"]:
        _log.warning("%s", line)
    return ""


def run_command(message: Message, command: Sequence[str], timeout: float, secret: str = "") -> str:
    """Run a command, without a shell, that reads the message as JSON; what it started ends with it when it takes too long.

    Parameters
    ----------
    message : Message
    command : sequence of str
        The program and its arguments.
    timeout : float
        Seconds after which it is stopped.
    secret : str, optional
        An address that its last words must not tell. The command's environment is without it too.
    """
    name = repr(command[0])
    with TemporaryFile() as complaints:  # a pipe would stay open with whatever the command leaves behind
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name.upper() not in WITHHELD},
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            return Unreachable(f"the command {name} cannot be run ({reason})")
        try:
            process.communicate(json.dumps(message).encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            _stop(process)
            return Unreachable(f"the command {name} was stopped after {timeout:g} s")
        if process.returncode:
            return f"the command {name} ended with exit code {process.returncode}{_last_line(complaints, secret)}"
    return ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own group: it was started in a session of its own
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.wait()


def _last_line(file: IO[bytes], secret: str) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - READ_BACK))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return f": {_masked(lines[-1], secret)[:LONGEST_COMPLAINT]}" if lines else ""


def _masked(line: str, address: str) -> str:
    """Return a line with an address, and each longer part of its path and query, replaced by stars."""
    parts = re.split(r"[/?&=;#]", address.partition("://")[2].partition("/")[2])
    for secret in sorted({address, *(part for part in parts if len(part) >= SHORTEST_SECRET)}, key=len, reverse=True):
        line = line.replace(secret, "***") if secret else line
    return line


def post_webhook(
    message: Message,
    address: str,
    timeout: float,
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Post a message as JSON, and again after a pause where that may help: no answer, too many requests, a fault there.

    Parameters
    ----------
    message : Message
    address : str
        http or https; told by its host alone. A redirect is not followed.
    timeout : float
        Seconds to wait for an answer, each time.
    pauses : sequence of float
        Seconds before each further attempt.
    sleep : callable
        How to let them pass.
    """
    trouble, may_pass = _post(message, address, timeout)
    for pause in pauses:
        if not (trouble and may_pass):
            break
        sleep(pause)
        trouble, may_pass = _post(message, address, timeout)
    told = f"the webhook at {urlsplit(address).hostname} {trouble}" if trouble else ""
    return Unreachable(told) if trouble and may_pass else told


def _post(message: Message, address: str, timeout: float) -> tuple[str, bool]:
    """Return why a message was not taken, and whether that may pass."""
    request = Request(address, json.dumps(message).encode(), {"Content-Type": "application/json"}, method="POST")
    try:
        with build_opener(_NoRedirect).open(request, timeout=timeout):
            return "", False
    except HTTPError as error:
        with error:
            return f"answered {error.code}", error.code >= 500 or error.code in WORTH_ANOTHER_TRY
    except URLError as error:
        return f"did not answer ({_reason(error.reason)})", True
    except (OSError, http.client.HTTPException) as error:
        return f"did not answer ({_reason(error)})", True


class _NoRedirect(HTTPRedirectHandler):
    """A redirected post becomes a request without its body, which would count as delivered."""

    def redirect_request(self, *arguments: Any) -> None:
        """Follow nothing."""


def _reason(error: object) -> str:
    """Return what the system says; other messages may repeat the address."""
    if isinstance(error, TimeoutError):
        return "not within the time allowed"
    return str(getattr(error, "strerror", None) or type(error).__name__)

"""Reading a settings file, and saying in one sentence what is wrong with it. Nothing that it names is opened."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from gmmdask.errors import SettingsError
from gmmdask.settings.document import Settings
from gmmdask.settings.environment import variables_of
from gmmdask.settings.keys import nearest, unknown_variable
from gmmdask.settings.places import located, require_apart

SECRETIVE = {"webhook", "storage_options", "uri", "staging", "address"}
"""Keys whose value is not shown: it may hold a secret, even where it has the wrong shape."""


def load_settings(path: str | Path) -> Settings:
    """Read the settings of a segmentation.

    Relative paths in the file are relative to the file.

    Parameters
    ----------
    path : str or Path
        A TOML file.

    Raises
    ------
    SettingsError
        The file is not there or not TOML, a key or variable is unknown, missing or wrong, or settings contradict each
        other; names file and key.
    """
    file = Path(path)
    if wrong := unknown_variable(Settings, os.environ):
        raise SettingsError(f"{file}: {wrong}")
    try:
        settings = Settings(**_read(file))
    except ValidationError as error:
        raise SettingsError(f"{file}: {_explain(error)}") from error
    except SourceError as error:
        raise SettingsError(f"{file}: an environment variable cannot be read: {_unreadable(error)}") from error
    found = located(settings, file.resolve().parent)
    require_apart(found, file)
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: there is no such settings file") from error
    except OSError as error:
        raise SettingsError(f"{file}: the settings cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: this is not valid TOML: {error}") from error


def _explain(error: ValidationError) -> str:
    """Say what is wrong with the first key, and how many others are."""
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    first, *others = found
    key = ".".join(map(str, first["loc"]))
    told = f"{_reason(key, first)}{_origin(first)}"
    return told + (f" (and {len(others)} more to mend)" if others else "")


def _reason(key: str, error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(Settings, key)}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    shown = f" = {error['input']!r}" if _may_be_shown(error["loc"], error["input"]) else ""
    return f"{key}{shown}: {message[0].lower()}{message[1:]}"


def _may_be_shown(loc: Sequence[str | int], value: Any) -> bool:
    is_section = len(loc) == 1 and hasattr(Settings.model_fields[str(loc[0])].annotation, "model_fields")
    return not (is_section or SECRETIVE.intersection(map(str, loc)) or "://" in repr(value))


def _origin(error: Mapping[str, Any]) -> str:
    """Return which environment variables a mistake is in, as the end of a sentence; empty where the file has it."""
    path = error["loc"]
    if not path and (named := re.match(r"Value error, ([a-z_]+(?:\.\w+)*)(?::| = )", error["msg"])):
        path = named[1].split(".")
    found = [] if error["type"] == "missing" else variables_of(path, os.environ, below=error["type"] == "value_error")
    return f" (from the environment: {', '.join(found)})" if found else ""


def _unreadable(error: SourceError) -> str:
    field = re.search(r'for field "(\w+)"', str(error))
    found = variables_of([field[1]], os.environ, below=True) if field else []
    return f"{' or '.join(found)} is no valid JSON" if found else str(error)

"""Reading a settings file, and saying in one sentence what is wrong with it. Nothing that it names is opened."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from gmmdask.errors import SettingsError
from gmmdask.settings.document import Settings
from gmmdask.settings.keys import nearest, unknown_variable
from gmmdask.settings.places import located, require_apart


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
        raise SettingsError(f"{file}: an environment variable cannot be read: {error}") from error
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
    told = f"{_reason(key, first)}"
    return told + (f" (and {len(others)} more to mend)" if others else "")


def _reason(key: str, error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(Settings, key)}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"

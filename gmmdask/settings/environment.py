"""Which environment variables a setting came from, so that a mistake is looked for where it was made. No value is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gmmdask.settings.keys import PREFIX


def variables_of(path: Sequence[str | int], variables: Mapping[str, str], *, below: bool = False) -> list[str]:
    """Return the variables that give a key its value, in alphabetical order.

    Parameters
    ----------
    path : sequence of str or int
        The key, part by part; a number stands for an item of a list.
    variables : mapping of str to str
        The environment.
    below : bool, default False
        Also those that give a value to a key below this one.
    """
    wanted = [str(part).lower() for part in path]
    ours = ((name, _parts(name)) for name in sorted(variables) if name.upper().startswith(PREFIX))
    found = [
        name
        for name, parts in ours
        if (wanted[: len(parts)] == parts and _holds(variables[name], path[len(parts) :]))
        or (below and parts[: len(wanted)] == wanted)
    ]
    return found if wanted else []


def _parts(variable: str) -> list[str]:
    return variable[len(PREFIX) :].lower().split("__")


def _holds(text: str, rest: Sequence[str | int]) -> bool:
    """Return whether a variable's value, which may be a table as JSON, has a key; what is no table is the value itself."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return True
    for part in rest:
        if not isinstance(value, dict):
            return True
        if part not in value:
            return False
        value = value[part]
    return True

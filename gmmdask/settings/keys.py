"""Which keys the settings have, and what was meant by one that they have not. What a key means is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import get_args, get_origin

from pydantic import BaseModel, ConfigDict

PREFIX = "GMMDASK_"
"""What every environment variable that overrides a key begins with."""


class Section(BaseModel):
    """A table of the file: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def nearest(model: type[BaseModel], key: str, spelled: Callable[[str], str] = str) -> str:
    """Suggest a key of the same name elsewhere, or the most similar one, as the end of a sentence.

    Parameters
    ----------
    model : type of BaseModel
        All settings.
    key : str
        The unknown key, with dots.
    spelled : callable
        How a known key is written.
    """
    known = [name for name, _ in _known(model)]
    last = key.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    found = same or get_close_matches(key, known, n=1) or get_close_matches(last, known, n=1)
    if found:
        return f"; did you mean {spelled(found[0])}?"
    return f"; known are {', '.join(map(spelled, model.model_fields))}"


def unknown_variable(model: type[BaseModel], variables: Iterable[str]) -> str | None:
    """Return what is wrong with the first variable of ours that names no key, or None.

    Such a variable would be ignored, while whoever set it believes that it counts.
    """
    known = dict(_known(model))
    for variable in sorted(variables):
        if not variable.upper().startswith(PREFIX):
            continue
        key = variable[len(PREFIX) :].lower().replace("__", ".")
        above = (key[:end] for end, letter in enumerate(key) if letter == ".")
        if key not in known and not any(known.get(name) for name in above):
            return f"unknown environment variable {variable}{nearest(model, key, _variable)}"
    return None


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", "__")


def _known(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Yield every key, and whether any further key may follow below it."""
    for name, info in model.model_fields.items():
        yield prefix + name, get_origin(info.annotation) is dict
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _known(info.annotation, f"{prefix}{name}.")
        for value in get_args(info.annotation):
            if isinstance(value, type) and issubclass(
                value, BaseModel
            ):  # a table of tables, each under a name of its own
                yield from _known(value, f"{prefix}{name}.NAME.")

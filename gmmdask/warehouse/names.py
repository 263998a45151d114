"""What a segment may be called. Names are plain text that people type; they are stored and compared here, shown elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from gmmdask.errors import InvalidInputError, UnknownNameError

LONGEST_NAME = 100
LISTED_IDS = 30
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"
"""Invisible letters that some scripts and emoji are written with."""


def checked_name(name: str) -> str:
    """Return a name as it is stored: composed letters, single spaces, none at the ends.

    Raises
    ------
    InvalidInputError
        It is empty, too long, or holds characters that cannot be seen.

    Examples
    --------
    >>> checked_name("  Weekend   commuters ")
    'Weekend commuters'
    """
    invisible = sorted({letter for letter in name if _is_invisible(letter)})
    if invisible:
        listed = ", ".join(f"U+{ord(letter):04X}" for letter in invisible)
        raise InvalidInputError(f"the name {name!a} holds characters that cannot be seen ({listed}); leave them out")
    composed = " ".join(unicodedata.normalize("NFC", name).split())
    if not composed.strip(JOINERS):
        raise InvalidInputError("the name is empty; say what the segment is to be called, or take its name away")
    if len(composed) > LONGEST_NAME:
        raise InvalidInputError(
            f"the name {composed[:20] + '...'!r} has {len(composed)} characters, and {LONGEST_NAME} are the most"
        )
    return composed


def check_nameable(segmentation: str, segment_id: int, name: str | None, known: Mapping[int, str | None]) -> None:
    """Refuse to name a segment that never was, or as another one is called already.

    Parameters
    ----------
    segmentation : str
    segment_id : int
    name : str, optional
        As `checked_name` returned it; None takes a name away.
    known : mapping of int to str or None
        The names of all segments that there ever were.

    Raises
    ------
    UnknownNameError
        Lists the ids that there are.
    InvalidInputError
        Says which segment has the name.
    """
    if segment_id not in known:
        raise UnknownNameError(f"segmentation {segmentation!r} has no segment {segment_id}; {_listed(known)}")
    if name is None:
        return
    for other, taken in known.items():
        if other != segment_id and (taken or f"Segment {other}").casefold() == name.casefold():
            raise InvalidInputError(
                f"segment {other} of {segmentation!r} is called {taken or f'Segment {other}'!r}, and two segments of one "
                f"name cannot be told apart; choose another name for segment {segment_id}, or rename segment {other} first"
            )


def _is_invisible(letter: str) -> bool:
    # Line breaks and tabs are refused; they would be spaces to `split`.
    return unicodedata.category(letter) in INVISIBLE and letter not in JOINERS


def _listed(known: Mapping[int, str | None]) -> str:
    if not known:
        return "nothing of it was published yet"
    shown = ", ".join(map(str, sorted(known)[:LISTED_IDS]))
    return f"it has {shown}{', ...' if len(known) > LISTED_IDS else ''}"

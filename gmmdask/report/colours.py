"""The colours of segments: which one an id has, on every page. Other colours belong to the figures that use them."""

from __future__ import annotations

PALETTE = (
    ("#4269d0", -0.55),
    ("#e8862e", 0.45),
    ("#3a9b57", 0.55),
    ("#c9405b", 0.45),
    ("#8a5cc2", -0.3),
    ("#2aa5b8", -0.55),
    ("#9c6b4e", -0.55),
    ("#d764a8", -0.55),
    ("#6b7785", 0.4),
    ("#b59a1c", 0.3),
    ("#1f5f8b", 0.3),
    ("#7d9a3c", -0.55),
    ("#751200", -0.55),
    ("#005100", -0.5),
    ("#c6b4e1", -0.5),
    ("#631275", -0.5),
    ("#6ccf99", -0.55),
    ("#8790fc", -0.35),
    ("#873f63", -0.55),
    ("#242d90", 0.35),
    ("#6c5100", 0.45),
    ("#51c6fc", -0.4),
    ("#ab9099", -0.5),
    ("#007551", 0.45),
)
"""The colours of the first ids on white, and how far each goes towards white (or, below 0, black) for as many ids more.

Any two of the 48 differ by 0.065 at least as Euclidean distances in Oklab (Ottosson 2020), of the first 24 those after
the twelfth by 0.12 from all others; the second shades were chosen one after the other to lie furthest from all before.
"""


def colour(segment_id: int) -> str:
    """Return a segment's colour, the same in every report; 48 ids have one of their own.

    Examples
    --------
    >>> colour(1), colour(25)
    ('#4269d0', '#1e2f5e')
    """
    round_number, place = divmod(segment_id - 1, len(PALETTE))
    own, shade = PALETTE[place]
    return own if round_number % 2 == 0 else _shaded(own, shade)


def _shaded(hexadecimal: str, shade: float) -> str:
    end = 255 if shade > 0 else 0
    parts = (int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part + abs(shade) * (end - part)):02x}" for part in parts)

"""The promotion gate: whether a challenger becomes the champion. Numbers in, a decision in words out."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

WORTH_PER_COMPONENT = 1e-3
"""Nats per row that a change of size or structure must bring, for each component concerned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """What the gate knows of a model.

    Parameters
    ----------
    n_components : int
    structure : str
    objection : str
        Why it was disqualified; empty where it was not.
    """

    n_components: int
    structure: str
    objection: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateDecision:
    """The outcome.

    Parameters
    ----------
    is_promoted : bool
    required : float
        Nats per row by which the challenger had to be better; it had to be more.
    reason : str
        One sentence.
    """

    is_promoted: bool
    required: float
    reason: str


def decide(champion: Contender, challenger: Contender, difference: float, n_rows: int) -> GateDecision:
    """Decide by the mean difference of log densities on held-out rows that both models can score.

    A tie keeps the champion. A change of the number of components, either way, must be worth 1e-3 nats per row for each
    component more or less, and a change of structure the same for each component of the challenger.

    Parameters
    ----------
    champion, challenger : Contender
    difference : float
        Challenger − champion, nats per row in original units; what is no finite number keeps the champion.
    n_rows : int
        Rows that the difference is the mean of.
    """
    required = _required(champion, challenger)
    if challenger.objection:
        return _kept(required, f"The challenger was disqualified: {challenger.objection}")
    if not n_rows:
        return _kept(required, "No held-out row can be scored by both models")
    if not isfinite(difference):
        return _kept(required, f"On {n_rows:,} held-out rows values are so large that the models cannot be compared")
    told = f"On {n_rows:,} held-out rows the challenger is {difference:+.4g} nats per row against the champion"
    if difference > required:
        return GateDecision(is_promoted=True, required=required, reason=f"{told}{_beyond(required)}: promoted")
    return _kept(required, f"{told}{_beyond(required)}: the champion is kept")


def _required(champion: Contender, challenger: Contender) -> float:
    components = abs(challenger.n_components - champion.n_components)
    if challenger.structure != champion.structure:
        components += challenger.n_components
    return WORTH_PER_COMPONENT * components


def _beyond(required: float) -> str:
    return f", where more than {required:.4g} is asked for another size or structure" if required else ""


def _kept(required: float, reason: str) -> GateDecision:
    return GateDecision(is_promoted=False, required=required, reason=reason)

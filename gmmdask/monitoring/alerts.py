"""Whether tonight is unusual: what the whole night would gain, and each part of what the last three nights would.

Weights that vary from night to night hide a moved mean or covariance from a single night's gain, and much less from that of
three nights together.
"""

from __future__ import annotations

from gmmdask.monitoring.gain import PARTS, Gain
from gmmdask.monitoring.null import RUN, NullDistribution
from gmmdask.monitoring.thresholds import Thresholds

TONIGHT = "tonight"
RECENT = {part: f"recent_{part}" for part in PARTS}
"""Names of the numbers of the last nights' parts."""


def night_numbers(
    tonight: Gain | None, recent: Gain | None, null: NullDistribution, limits: Thresholds
) -> dict[str, float]:
    """Return the gains by name in nats per row, and up to where they are ordinary as `<name>_limit` if that is known.

    Parameters
    ----------
    tonight, recent : Gain, optional
        Of the night alone, and of the last three together; None where there is none.
    null : NullDistribution
    limits : Thresholds
    """
    numbers: dict[str, float] = {}
    is_known = null.n_nights >= limits.fewest_nights
    if tonight is not None:
        numbers[TONIGHT] = tonight.total
        if is_known:
            numbers[f"{TONIGHT}_limit"] = ordinary_night(null, tonight.mass, limits)
    if recent is not None:
        numbers |= {name: float(recent.parts[part].sum()) for part, name in RECENT.items()}
        if is_known:
            chance = null.allowance(recent.mass, RUN * null.night_mass)
            most = {RECENT[part]: limits.part_margin * largest for part, largest in null.largest_parts.items()}
            numbers |= {f"{name}_limit": largest + chance for name, largest in most.items()}
    return numbers


def ordinary_night(null: NullDistribution, mass: float, limits: Thresholds) -> float:
    """Return up to where a single night's G is ordinary, in nats per row."""
    return null.night_quantile(limits.night_quantile) + null.allowance(mass, null.night_mass)


def alerts_of(numbers: dict[str, float]) -> dict[str, str]:
    """Return what is over its limit, by name: a sentence each."""
    names = {TONIGHT: "tonight's gain"} | {
        name: f"the {part} part of the last {RUN} nights' gain" for part, name in RECENT.items()
    }
    return {
        name: f"{told} is {numbers[name]:.3g} nats per row, and up to {numbers[f'{name}_limit']:.3g} is ordinary"
        for name, told in names.items()
        if f"{name}_limit" in numbers and numbers[name] > numbers[f"{name}_limit"]
    }

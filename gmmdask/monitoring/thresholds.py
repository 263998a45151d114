"""What counts as an ordinary night, and what as worth a training: numbers only."""

from __future__ import annotations

from dataclasses import dataclass

from gmmdask.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What counts as ordinary, and what as worth a training.

    Parameters
    ----------
    window : int, default 28
        Nights that a verdict looks at: whole weeks.
    fewest_nights : int, default 14
        Training nights below which there is no telling what is ordinary.
    rows_per_parameter : float, default 50
        Rows that a window needs for each free parameter.
    margin : float, default 1.5
        How often the null's largest window counts as ordinary still.
    smallest_gain : float, default 1e-3
        Nats per row over the null's median that a training is worth.
    refit_gain, refit_ratio : float, default 0.05 and 2.0
        A gain over the null's median, and a multiple of what is ordinary, above which both a new fit is worth it.
    night_quantile : float, default 0.99
        Of the training nights, above which tonight alarms.
    part_margin : float, default 1.25
        How often the largest part of three training nights counts as ordinary still in the last three.
    unit_share : float, default 0.9
        Share of a night's divergence that undoing one feature's change must explain to be called a change of unit.
    unit_scale, unit_shift : float, default 1.25 and 0.5
        How large such a change must be: a factor or its inverse, or standard deviations of the feature.

    Raises
    ------
    InvalidInputError
        They contradict each other; names them.
    """

    window: int = 28
    fewest_nights: int = 14
    rows_per_parameter: float = 50.0
    margin: float = 1.5
    smallest_gain: float = 1e-3
    refit_gain: float = 0.05
    refit_ratio: float = 2.0
    night_quantile: float = 0.99
    part_margin: float = 1.25
    unit_share: float = 0.9
    unit_scale: float = 1.25
    unit_shift: float = 0.5

    def __post_init__(self) -> None:
        sound = {
            f"window={self.window} must be at least 1 night": self.window >= 1,
            f"fewest_nights={self.fewest_nights} must be at least 2": self.fewest_nights >= 2,
            f"rows_per_parameter={self.rows_per_parameter:g} must not be negative": self.rows_per_parameter >= 0,
            f"margin={self.margin:g} must be at least 1: windows of the training range itself are ordinary": self.margin
            >= 1,
            f"smallest_gain={self.smallest_gain:g} must not be negative": self.smallest_gain >= 0,
            f"refit_gain={self.refit_gain:g} must not be less than smallest_gain={self.smallest_gain:g}": self.refit_gain
            >= self.smallest_gain,
            f"refit_ratio={self.refit_ratio:g} must be at least 1": self.refit_ratio >= 1,
            f"night_quantile={self.night_quantile:g} must lie between 0.5 and 1": 0.5 <= self.night_quantile <= 1,
            f"part_margin={self.part_margin:g} must be at least 1": self.part_margin >= 1,
            f"unit_share={self.unit_share:g} must lie between 0 and 1": 0 < self.unit_share <= 1,
            f"unit_scale={self.unit_scale:g} must be more than 1": self.unit_scale > 1,
            f"unit_shift={self.unit_shift:g} must be positive": self.unit_shift > 0,
        }
        if broken := [rule for rule, holds in sound.items() if not holds]:
            raise InvalidInputError(f"the drift thresholds contradict themselves: {'; '.join(broken)}")

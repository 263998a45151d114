"""Rules that say when to retrain: the one in use, and those that it was chosen over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.monitoring import Champion, NightSums, NullDistribution, Thresholds, learn_null, total_gain

Learn = Callable[[NightSums, Champion, int], NullDistribution]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A way to learn what is ordinary, and how much more than that is ordinary still."""

    name: str
    learn: Learn
    margin: float

    @property
    def thresholds(self) -> Thresholds:
        """The defaults with this rule's margin."""
        return Thresholds(margin=self.margin)

    def retrains(self, window: SufficientStatistics, champion: Champion, null: NullDistribution) -> bool:
        """Return whether a window calls for training, as `judge` has it."""
        gain, limits = total_gain(window, champion), self.thresholds
        ordinary = self.margin * null.largest + null.allowance(window.mass, null.window_mass)
        return gain > ordinary and gain - null.median >= limits.smallest_gain


def seen_windows(nights: NightSums, champion: Champion, window: int) -> NullDistribution:
    """Learn from consecutive windows that the champion was itself trained on, none left out."""
    learned = learn_null(nights, champion, window)
    n, length = len(nights), min(window, len(nights) // 2)
    parts = [nights.sums[first : first + length].sum(axis=0) for first in range(n - length + 1)]
    gains = tuple(total_gain(nights.of_sums(sums), champion) for sums in parts)
    return replace(learned, windows=gains, scattered=())


def left_out_windows(nights: NightSums, champion: Champion, window: int) -> NullDistribution:
    """Learn from consecutive windows alone, each left out of what it is compared with."""
    return replace(learn_null(nights, champion, window), scattered=())


RULES = (
    Rule(name="windows seen, ×1", learn=seen_windows, margin=1.0),
    Rule(name="windows left out, ×1", learn=left_out_windows, margin=1.0),
    Rule(name="and scattered weeks, ×1", learn=learn_null, margin=1.0),
    Rule(name="and scattered weeks, ×1.25", learn=learn_null, margin=1.25),
    Rule(name="and scattered weeks, ×1.5 (in use)", learn=learn_null, margin=1.5),
)
IN_USE = RULES[4]

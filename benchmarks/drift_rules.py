"""Rules that say when to retrain: the one in use, and those that it was chosen over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.monitoring import Champion, NightSums, NullDistribution, Thresholds, learn_null, total_gain

Adapt = Callable[[NullDistribution, NightSums, Champion], NullDistribution]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What of a champion's null distribution is taken for ordinary, and how much more than that is ordinary still."""

    name: str
    adapt: Adapt
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


def learned(nights: NightSums, champion: Champion, rules: Sequence[Rule], window: int) -> list[NullDistribution]:
    """Learn from training nights what each rule takes for ordinary; what they share is learned once."""
    null = learn_null(nights, champion, window)
    return [rule.adapt(null, nights, champion) for rule in rules]


def seen_windows(null: NullDistribution, nights: NightSums, champion: Champion) -> NullDistribution:
    """Take consecutive windows that the champion was itself trained on, none left out."""
    n, length = len(nights), min(null.window, len(nights) // 2)
    parts = [nights.sums[first : first + length].sum(axis=0) for first in range(n - length + 1)]
    gains = tuple(total_gain(nights.of_sums(sums), champion) for sums in parts)
    return replace(null, windows=gains, scattered=())


def left_out_windows(null: NullDistribution, _: NightSums, __: Champion) -> NullDistribution:
    """Take consecutive windows alone, each left out of what it is compared with."""
    return replace(null, scattered=())


def all_windows(null: NullDistribution, _: NightSums, __: Champion) -> NullDistribution:
    """Take windows put together from scattered weeks as well."""
    return null


RULES = (
    Rule(name="windows seen, ×1", adapt=seen_windows, margin=1.0),
    Rule(name="windows left out, ×1", adapt=left_out_windows, margin=1.0),
    Rule(name="and scattered weeks, ×1", adapt=all_windows, margin=1.0),
    Rule(name="and scattered weeks, ×1.25", adapt=all_windows, margin=1.25),
    Rule(name="and scattered weeks, ×1.5 (in use)", adapt=all_windows, margin=1.5),
)
IN_USE = RULES[4]

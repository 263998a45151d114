"""Since when the data differ: the night at which a lasting change began."""

from __future__ import annotations

import numpy as np

from gmmdask.monitoring.gain import total_gain
from gmmdask.monitoring.nights import Champion, NightSums
from gmmdask.monitoring.null import NullDistribution
from gmmdask.monitoring.thresholds import Thresholds


def find_break(nights: NightSums, champion: Champion, null: NullDistribution, limits: Thresholds) -> str:
    """Return the first date of the last nights that gain more than training nights do; empty where no such run stands out.

    With g each night's own G and τ what is ordinary for it, the night s at which Σ (g − τ) from s to the last is largest
    (the cumulative sum of Page 1954), if that is positive.

    Parameters
    ----------
    nights : NightSums
        Those judged, oldest first.
    champion : Champion
    null : NullDistribution
    limits : Thresholds
    """
    excess = np.array([_excess(nights, date, champion, null, limits) for date in nights.dates])
    since = np.cumsum(excess[::-1])[::-1]
    first = int(since.argmax())
    return nights.dates[first] if since[first] > 0 else ""


def _excess(nights: NightSums, date: str, champion: Champion, null: NullDistribution, limits: Thresholds) -> float:
    statistics = nights.night(date)
    return total_gain(statistics, champion) - ordinary_night(null, statistics.mass, limits)


def ordinary_night(null: NullDistribution, mass: float, limits: Thresholds) -> float:
    """Return up to where a single night's G is ordinary, in nats per row."""
    return null.night_quantile(limits.night_quantile) + null.allowance(mass, null.night_mass)

"""Since when the data differ: the night at which a lasting change began."""

from __future__ import annotations

import numpy as np

from gmmdask.monitoring.gain import total_gain
from gmmdask.monitoring.nights import Champion, NightSums


def find_break(nights: NightSums, champion: Champion) -> str:
    """Return the date from which on the nights are least likely the champion's.

    That is the night s at which N·G is largest, where N and G are those of all nights from s to the last together: a lower
    bound on the log-likelihood ratio of their having parameters of their own (Hinkley 1970). Earlier nights would dilute
    the change, and later ones leave out rows that show it; what varies from night to night at random averages out.

    Parameters
    ----------
    nights : NightSums
        Those judged, oldest first, each of positive mass.
    champion : Champion
    """
    since_each = np.cumsum(nights.sums[::-1], axis=0)[::-1]
    together = [nights.of_sums(sums) for sums in since_each]
    ratios = [one.mass * total_gain(one, champion) for one in together]
    return nights.dates[int(np.argmax(ratios))]

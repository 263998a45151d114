"""Watching: what changed between the training nights and tonight, and what to do about it.

Pure values and functions; reading rows, training and tables are no business of this package. Features are compared by
counts on fixed bins, the champion by the sums of its own passes.
"""

from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import NightFeatures, count_leaf, count_rows
from gmmdask.monitoring.features import FeatureAlarm, judge_features
from gmmdask.monitoring.gain import Gain, measure_gain, retrained, total_gain
from gmmdask.monitoring.nights import Champion, NightSums
from gmmdask.monitoring.null import NullDistribution, learn_null
from gmmdask.monitoring.reference import ReferenceProfile
from gmmdask.monitoring.thresholds import Thresholds
from gmmdask.monitoring.units import AffineChange, find_affine_change
from gmmdask.monitoring.verdict import LastAttempt, Verdict, judge, ordinary_gain

__all__ = [
    "AffineChange",
    "Champion",
    "FeatureAlarm",
    "FeatureBins",
    "Gain",
    "LastAttempt",
    "NightFeatures",
    "NightSums",
    "NullDistribution",
    "ReferenceProfile",
    "Thresholds",
    "Verdict",
    "count_leaf",
    "count_rows",
    "find_affine_change",
    "judge",
    "judge_features",
    "learn_null",
    "measure_gain",
    "ordinary_gain",
    "retrained",
    "total_gain",
]

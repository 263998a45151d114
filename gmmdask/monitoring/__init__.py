"""Watching: what changed between the training nights and tonight, and what to do about it.

Pure values and functions; reading rows, training and tables are no business of this package.
"""

from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import NightFeatures, count_leaf, count_rows
from gmmdask.monitoring.features import FeatureAlarm, judge_features
from gmmdask.monitoring.reference import ReferenceProfile

__all__ = [
    "FeatureAlarm",
    "FeatureBins",
    "NightFeatures",
    "ReferenceProfile",
    "count_leaf",
    "count_rows",
    "judge_features",
]

"""Scoring: partitions in, assignments out, with the sums that describe the segments.

Each partition is one pure task that stages its rows and returns a receipt. Training, publishing and the names of files
are no business of this package.
"""

from gmmdask.scoring.assign import LeafScores, SegmentModel, score_leaf
from gmmdask.scoring.outlying import OutlyingRow, farthest
from gmmdask.scoring.partition import PartitionScores, ScoringTask, score_partition, score_source
from gmmdask.scoring.profile import SegmentSums, combine_sums

__all__ = [
    "LeafScores",
    "OutlyingRow",
    "PartitionScores",
    "ScoringTask",
    "SegmentModel",
    "SegmentSums",
    "combine_sums",
    "farthest",
    "score_leaf",
    "score_partition",
    "score_source",
]

"""Numeric kernels of the pass over the data: groups of arrays in, sums out. No parameters or statistics objects, no I/O, no threads."""

from gmmdask.mixture.kernels.arrays import ERROR_LIMIT, Rows, Stack, Sums, empty_sums
from gmmdask.mixture.kernels.choice import use_fused
from gmmdask.mixture.kernels.fused import accumulate_fused
from gmmdask.mixture.kernels.local import LocalSums, accumulate_local, empty_local_sums
from gmmdask.mixture.kernels.softmax import softmax
from gmmdask.mixture.kernels.stacked import accumulate_stacked, log_joint

__all__ = [
    "ERROR_LIMIT",
    "LocalSums",
    "Rows",
    "Stack",
    "Sums",
    "accumulate_fused",
    "accumulate_local",
    "accumulate_stacked",
    "empty_local_sums",
    "empty_sums",
    "log_joint",
    "softmax",
    "use_fused",
]

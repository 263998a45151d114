"""Loaded by the server that victims are forked from: everything that a night imports, and its kernels, are there already.

A fit over rows in memory brings the compiled kernels; its threads have ended when this module is loaded.
"""

from __future__ import annotations

import warnings

from gmmdask import select
from tests.nightly import victims  # noqa: F401
from tests.nightly.lakes import birds

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    select(
        birds(0).select(["speed", "weight"]).drop_null().to_pandas().to_numpy(),
        n_components=[1, 2],
        covariance_types=["diag"],
        max_passes=2,
    )

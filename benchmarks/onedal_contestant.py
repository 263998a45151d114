"""Runs in oneDAL's own environment, which has no gmmdask: for every line that comes in, the seconds of an EM step."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import daal4py  # type: ignore[import-not-found]
import numpy as np

STEPS = 3
"""Iterations per measurement: what a call costs beside them is spread, to oneDAL's advantage."""


def main(folder: Path) -> None:
    """Answer until the input ends."""
    daal4py.daalinit(1)
    rows, weights, means, covariances = (
        np.load(folder / f"{name}.npy") for name in ("rows", "weights", "means", "covariances")
    )
    for _ in sys.stdin:
        mixture = daal4py.em_gmm(
            nComponents=len(weights),
            maxIterations=STEPS,
            accuracyThreshold=0.0,
            regularizationFactor=1e-6,
            covarianceStorage="full",
        )
        start = perf_counter()
        result = mixture.compute(rows, weights[None], means, list(covariances))
        seconds = perf_counter() - start
        print(seconds / int(result.nIterations[0, 0]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

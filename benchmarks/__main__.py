"""Runs all benchmarks one after the other, each in a process of its own; ends with 1 if a required figure was missed."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "em_step",
    "grid_step",
    "select_grid",
    "dask_overhead",
    "pass_zero",
    "scoring",
    "night_cost",
    "first_night",
    "drift_alarms",
    "flight_alarms",
    "drift_rule",
    "drift_break",
)


def main() -> int:
    """Pass the arguments on to each."""
    codes = []
    for name in NAMES:
        codes.append(
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False).returncode
        )
        print(flush=True)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())

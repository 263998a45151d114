"""oneDAL as a contestant: a process in an environment of its own that takes a step when told to.

Its wheels want an older NumPy than gmmdask, so it cannot be imported here. The environment is made on first use; where
it cannot be, the comparison is left out and says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Measure
from gmmdask.mixture.parameters import MixtureParameters

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-onedal"
PYTHON = ENVIRONMENT / "bin" / "python"
LOCK = ROOT / "infra" / "requirements-onedal.txt"
INSTALLED = ENVIRONMENT / ".installed"
VERSION = re.findall(r"^daal4py==(\S+)", LOCK.read_text(), re.MULTILINE)[0]
CONTESTANT = Path(__file__).parent / "onedal_contestant.py"


def environment() -> Path | None:
    """Return the interpreter that has daal4py, making its environment if need be; None where that fails."""
    if INSTALLED.exists() and INSTALLED.read_text() == LOCK.read_text():
        return PYTHON
    print(f"Installing oneDAL into {ENVIRONMENT.name} ...", file=sys.stderr, flush=True)
    install = ["-m", "pip", "install", "-qq", "--no-input", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    for command in ([sys.executable, "-m", "venv", str(ENVIRONMENT)], [str(PYTHON), *install]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"oneDAL is left out: {done.stderr.strip()}", file=sys.stderr)
            return None
    INSTALLED.write_text(LOCK.read_text())
    return PYTHON


@contextmanager
def onedal_step(
    interpreter: Path | None, rows: NDArray[np.float64], model: MixtureParameters
) -> Iterator[dict[str, Measure]]:
    """Give the measurement of one step on one thread under the name "oneDAL", or nothing without an interpreter."""
    if interpreter is None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {"rows": rows, "weights": model.weights, "means": model.means, "covariances": model.covariances}
        for name, array in files.items():
            np.save(Path(folder) / f"{name}.npy", array)
        with _contestant(interpreter, folder) as contestant:
            yield {"oneDAL": lambda: _told(contestant)}


@contextmanager
def _contestant(interpreter: Path, folder: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(interpreter), str(CONTESTANT), folder]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as contestant:
        assert contestant.stdin is not None
        yield contestant
        contestant.stdin.close()


def _told(contestant: subprocess.Popen[str]) -> float:
    assert contestant.stdin is not None
    assert contestant.stdout is not None
    contestant.stdin.write("step\n")
    contestant.stdin.flush()
    return float(contestant.stdout.readline())

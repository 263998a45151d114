"""The numeric fingerprint: what must agree between machines for their results to agree to the last bit.

CPU features that NumPy dispatches on, versions of what computes, and a hash of a small computed probe. It says nothing
of memory, cores or names. Nothing here talks to a cluster.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

from gmmdask.errors import ClusterError


@dataclass(frozen=True, kw_only=True, slots=True)
class NumericFingerprint:
    """What determines the bits of a computation on one machine.

    Parameters
    ----------
    cpu : str
        Architecture and the instruction sets that NumPy uses on it.
    blas : str
        Name, version and kernel architecture of the linear algebra libraries.
    versions : str
        Versions of NumPy, SciPy and Numba.
    probe : str
        Hash of a fixed computation: products, exponentials, logarithms, sums and a factorisation.
    """

    cpu: str
    blas: str
    versions: str
    probe: str

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for all of it."""
        text = "\n".join((self.cpu, self.blas, self.versions, self.probe))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.digest} (cpu {self.cpu}; {self.blas}; {self.versions}; probe {self.probe})"

    def differences(self, other: NumericFingerprint) -> str:
        """Say in words in which fields another machine differs from this one."""
        names = ("cpu", "blas", "versions", "probe")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return ", ".join(f"{name} {theirs} instead of {ours}" for name, ours, theirs in pairs if ours != theirs)


@cache
def numeric_fingerprint() -> NumericFingerprint:
    """Return the fingerprint of this process, computed once."""
    probe = _probe()
    return NumericFingerprint(cpu=_cpu(), blas=_blas(), versions=_versions(), probe=probe)


def require_fingerprint(digest: str | None) -> None:
    """Refuse to compute on a machine whose bits may differ from those of the rest of the run.

    Every task asks, so that a worker that joins a running cluster is asked too.

    Raises
    ------
    ClusterError
        This process has another fingerprint.
    """
    if digest is None or numeric_fingerprint().digest == digest:
        return
    raise ClusterError(
        f"Process {os.getpid()} on {socket.gethostname()} has the numeric fingerprint {numeric_fingerprint()}, but the"
        f" run began with {digest}: its results would differ in the last bits. Use machines of one kind with the same"
        " installed versions, or pass allow_mixed_cpus=True to give up reproducible bytes."
    )


def _cpu() -> str:
    # Where numpy.show_runtime finds what it prints.
    from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]

    found = [name for name in (*core.__cpu_baseline__, *core.__cpu_dispatch__) if core.__cpu_features__.get(name)]
    return f"{platform.machine()} {'+'.join(found)}"


def _blas() -> str:
    # Other packages bring linear algebra of their own, which is none of ours: look at NumPy's and SciPy's first.
    import scipy.linalg  # noqa: F401  (loads its library)

    libraries = ThreadpoolController().select(user_api="blas").info()
    own = [
        library for library in libraries if any(f"{name}.libs" in library["filepath"] for name in ("numpy", "scipy"))
    ]
    described = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in own or libraries
    }
    return ", ".join(sorted(described)) or "no known BLAS"


def _versions() -> str:
    return ", ".join(f"{package} {_version(package)}" for package in ("numpy", "scipy", "numba"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _probe() -> str:
    numbers = (np.arange(1, 97 * 64 + 1, dtype=np.int64) ** 2 * 48_271 % 2_147_483_647) / 2_147_483_647.0
    left = numbers.reshape(97, 64) - 0.5
    with threadpool_limits(limits=1):
        gram = left.T @ left
        results = (gram, np.exp(40 * left), np.log(numbers), left.sum(axis=0), np.linalg.cholesky(gram + np.eye(64)))
    digest = hashlib.sha256()
    for result in results:
        digest.update(np.ascontiguousarray(result).tobytes())
    return digest.hexdigest()[:16]

"""Compiled kernels that are kept on disk belong to the sources that are there; others are thrown away.

Numba keeps a compiled function for as long as its own file is unchanged, whatever has become of the functions that it
calls. After a change to one of them two copies of the same sources would compute other last bits.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

STAMP = "kernels.digest"


KERNELS = Path(__file__).parents[1] / "mixture" / "kernels"


def drop_stale_code(folder: Path = KERNELS) -> None:
    """Remove the compiled functions of a folder of sources if these are not the ones that they were compiled from.

    Where the folder cannot be written, nothing was kept there either. Numba looks for compiled code when a function is
    first called, so this is in time after the import of the kernels, too.

    Parameters
    ----------
    folder : Path
        Of the sources; Numba keeps what it compiled in `__pycache__` below it. By default that of the kernels.
    """
    kept = folder / "__pycache__"
    stamp = kept / STAMP
    digest = blake2b(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))), digest_size=16).hexdigest()
    with suppress(OSError):
        if stamp.exists() and stamp.read_text() == digest:
            return
        kept.mkdir(exist_ok=True)
        # The indexes go first: without them Numba looks at no compiled file.
        for path in (*kept.glob("*.nbi"), *kept.glob("*.nbc")):
            path.unlink(missing_ok=True)
        fresh = kept / f"{STAMP}.{os.getpid()}"
        fresh.write_text(digest)
        fresh.replace(stamp)

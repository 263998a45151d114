"""Run an object store on this machine.

    python -m infra.object_store FOLDER                           print its endpoint and credentials, run until Ctrl-C
    python -m infra.object_store FOLDER --put s3://lake=demo/lake -- COMMAND ...      run a command against it

Objects are kept in FOLDER and are there again the next time. `--put` uploads a local folder first: what is not there yet.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.object_store import EnvironmentUnavailableError, ObjectStore, ObjectStoreError, open_object_store


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="infra.object_store", usage=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--put", action="append", default=[], metavar="URI=FOLDER")
    given = parser.parse_args(sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:])
    command = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open_object_store(given.folder) as store:
            os.environ |= store.environment
            for pair in given.put:
                put(*pair.partition("=")[::2])
            return subprocess.run(command, check=False).returncode if command else wait(store)
    except (EnvironmentUnavailableError, ObjectStoreError) as error:
        print(f"infra.object_store: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130 if command else 0


def put(uri: str, folder: str) -> None:
    """Upload a folder and say what it took."""
    from infra.object_store.upload import upload

    began = time.perf_counter()
    count = upload(Path(folder), uri)
    print(f"{uri}: {count} files uploaded in {time.perf_counter() - began:.1f} s", flush=True)


def wait(store: ObjectStore) -> int:
    """Print what a shell needs to reach the store, and wait until somebody ends this."""
    for name, value in store.environment.items():
        print(f"export {name}={shlex.quote(value)}")
    print("# Ctrl-C ends the object store", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())

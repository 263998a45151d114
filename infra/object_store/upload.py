"""A local folder into a bucket: what is not there yet, many files at a time."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path

import s3fs

AT_A_TIME = 16


def upload(folder: Path, uri: str) -> int:
    """Upload the files of a folder that the place does not hold with the same content, and return how many.

    Parameters
    ----------
    folder : Path
    uri : str
        `s3://bucket/prefix`; the bucket is made if it is missing. Reached as the environment says.
    """
    filesystem = s3fs.S3FileSystem()
    root = uri.removeprefix("s3://").rstrip("/")
    bucket = root.partition("/")[0]
    if not filesystem.exists(bucket):
        filesystem.mkdir(bucket)
    present = {
        path: str(entry.get("ETag", "")).strip('"') for path, entry in filesystem.find(root, detail=True).items()
    }
    files = {
        f"{root}/{path.relative_to(folder).as_posix()}": path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    missing = {target: path for target, path in files.items() if present.get(target) != _etag(path)}
    filesystem.put([str(path) for path in missing.values()], list(missing), batch_size=AT_A_TIME)
    return len(missing)


def _etag(path: Path) -> str:
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest()

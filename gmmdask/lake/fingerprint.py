"""One hash for everything a source is made of."""

from __future__ import annotations

from hashlib import blake2b


def digest(*parts: str) -> str:
    """Return 32 hexadecimal digits that change with any part or with where one ends and the next begins."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        content = part.encode()
        hashed.update(len(content).to_bytes(8, "little") + content)
    return hashed.hexdigest()

"""Kinds of settings that say where something is. None may hold a secret in the open, and no message repeats one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

SECRETS = re.compile(
    r"secret|token|passw|key$|access_key|credential|connection_?string|authorization|cookie|signature", re.IGNORECASE
)


def _without_secrets(options: Any) -> Any:
    for path, _ in _leaves(options):
        if any(SECRETS.search(name) for name in path.split(".")):
            raise ValueError(f"{path} looks like a secret; give it in the environment or the usual credentials file")
    return options


def _without_password(uri: Any) -> Any:
    if isinstance(uri, str) and re.match(r"[\w+.-]+://(?:[^/@]*@|[^@]*:.*@)", uri):
        raise ValueError("the address holds credentials; give them in the environment or the usual credentials file")
    return uri


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        yield path, value
        return
    for key, inner in items:
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))


def _of_the_web(address: SecretStr) -> SecretStr:
    """Refuse what no request can go to; the address is not repeated."""
    if not _takes_requests(address.get_secret_value()):
        raise ValueError("this is no http:// or https:// address (it is not shown, since it may hold a secret)")
    return address


def _takes_requests(address: str) -> bool:
    try:
        parts = urlsplit(address)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = address.isascii() and address.isprintable() and " " not in address
    return is_complete and is_plain and parts.username is None


Webhook = Annotated[SecretStr, AfterValidator(_of_the_web)]
Address = Annotated[str, Field(min_length=1), BeforeValidator(_without_password)]
StorageOptions = Annotated[dict[str, Any], BeforeValidator(_without_secrets)]

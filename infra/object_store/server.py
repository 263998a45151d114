"""All of Swift in one process: the proxy with the S3 interface, and the account, container and object servers.

Runs in the environment of `infra/requirements-object-store.txt`, and so imports nothing but Swift and the standard
library. Started by `infra.object_store.store`, which writes the credentials to the standard input and then holds that pipe
open: once it closes, for whatever reason, this process ends. One process instead of four starts in a third of the time,
and lets the system choose free ports: sockets are bound before the rings name them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import eventlet  # type: ignore[import-not-found]
from eventlet import patcher, wsgi  # type: ignore[import-not-found]
from swift.common import utils  # type: ignore[import-not-found]
from swift.common.http_protocol import SwiftHttpProtocol  # type: ignore[import-not-found]
from swift.common.ring import RingBuilder  # type: ignore[import-not-found]
from swift.common.utils import NullLogger  # type: ignore[import-not-found]
from swift.common.wsgi import _initrp, loadapp  # type: ignore[import-not-found]

LOOPBACK = "127.0.0.1"
STORAGE = ("account", "container", "object")
DEVICE = "disk"
REGION = "us-east-1"

SWIFT = """[swift-hash]
swift_hash_path_prefix = gmmdask
swift_hash_path_suffix = gmmdask
[storage-policy:0]
name = single
default = yes
"""

STORAGE_SERVER = """[DEFAULT]
devices = {folder}/devices
mount_check = false
bind_ip = {loopback}
bind_port = {port}
swift_dir = {folder}/etc
recon_cache_path = {folder}/cache
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "dlo", "symlink")

PROXY_SERVER = """[DEFAULT]
bind_ip = {loopback}
bind_port = {port}
swift_dir = {folder}/etc
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck remember listing_formats bulk s3api tempauth slo dlo symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
check_bucket_owner = false
location = {region}
[filter:remember]
paste.filter_factory = infra.object_store.server:remember
"""


class Memory:
    """What memcached is to Swift, within this process: without it every request asks for account and bucket anew."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, *_: Any, **__: Any) -> Any:
        expires, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < expires else None

    def set(self, key: str, value: Any, *_: Any, time: float = 0, **__: Any) -> None:
        # As through memcached: JSON makes lists of tuples, and no two requests share an object.
        self._values[key] = (_now() + (time or 60), json.loads(json.dumps(value)))

    def delete(self, key: str, *_: Any, **__: Any) -> None:
        self._values.pop(key, None)


def _now() -> float:
    return time.monotonic()


def remember(_: Any, **__: Any) -> Any:
    """Make the filter that gives every request the memory."""
    memory = Memory()

    def wrap(application: Any) -> Any:
        def remembering(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = memory
            return application(environ, start_response)

        return remembering

    return wrap


def write_rings(folder: Path, ports: dict[str, int]) -> None:
    """Write the rings: one copy on one disk, whose servers listen at these ports."""
    for name in STORAGE:
        builder = RingBuilder(4, 1, 0)
        place = {"region": 1, "zone": 1, "ip": LOOPBACK, "port": ports[name], "device": DEVICE, "weight": 1}
        builder.add_dev({**place, "replication_ip": LOOPBACK, "replication_port": ports[name], "meta": ""})
        builder.rebalance()
        builder.get_ring().save(str(folder / "etc" / f"{name}.ring.gz"))


def write_configuration(folder: Path, ports: dict[str, int], credentials: dict[str, str]) -> dict[str, Path]:
    """Write what the servers read, for nobody else to read, and return their files by name."""
    etc = folder / "etc"
    (etc / "swift.conf").write_text(SWIFT, encoding="utf-8")
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in FILTERS)
    account, _, user = credentials["key"].partition(":")
    known = {"folder": folder, "loopback": LOOPBACK, "region": REGION, "account": account, "user": user}
    files = {}
    for name, port in ports.items():
        template = PROXY_SERVER + filters if name == "proxy" else STORAGE_SERVER
        files[name] = etc / f"{name}-server.conf"
        files[name].write_text(template.format(**known, name=name, port=port, secret=credentials["secret"]))
    return files


def serve(folder: Path, credentials: dict[str, str]) -> None:
    """Serve a folder until the process ends; the port of the S3 interface is told on the standard output."""
    os.umask(0o077)
    for path in ("etc", "cache", f"devices/{DEVICE}"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    utils.monkey_patch()
    sockets = {name: eventlet.listen((LOOPBACK, 0), backlog=512) for name in (*STORAGE, "proxy")}
    ports = {name: opened.getsockname()[1] for name, opened in sockets.items()}
    write_rings(folder, ports)
    files = write_configuration(folder, ports, credentials)
    applications = {name: load(name, file) for name, file in files.items()}
    print(ports["proxy"], flush=True)
    running = [eventlet.spawn(answer, sockets[name], application) for name, application in applications.items()]
    for server in running:
        server.wait()


def load(name: str, file: Path) -> Any:
    """Return the WSGI application of a configuration file."""
    _, _, log_name = _initrp(str(file), f"{name}-server")
    return loadapp(str(file), global_conf={"log_name": log_name})


def answer(opened: socket.socket, application: Any) -> None:
    """Answer requests for ever. Swift's own run_server would replace the event loop that the four share."""
    # S3 clients look for "ETag", written so.
    wsgi.server(opened, application, NullLogger(), protocol=SwiftHttpProtocol, capitalize_response_headers=False)


def end_with_parent() -> None:
    """End this process when the standard input closes: a thread of the system waits for it, not one of eventlet's."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 1):
                pass
        os._exit(0)

    patcher.original("threading").Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    end_with_parent()
    serve(Path(sys.argv[1]), given)

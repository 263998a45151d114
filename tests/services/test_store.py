"""The object store itself: it checks signatures, keeps what it holds, and leaves nothing running."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import s3fs

from infra.object_store import ObjectStoreError, open_object_store
from infra.object_store.upload import upload
from tests.services.conftest import environment

OPENER = """
import sys, signal
from pathlib import Path
from infra.object_store import open_object_store
with open_object_store(Path(sys.argv[1])) as store:
    print(store.pid, flush=True)
    signal.pause()
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def until_gone(pid: int, seconds: float = 30) -> bool:
    """Wait for a process that is not our child: the kernel has nothing to wait on but a descriptor of it."""
    try:
        opened = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([opened], [], [], seconds)[0])
    finally:
        os.close(opened)


def test_a_signature_with_another_secret_is_refused(reached, bucket):
    s3fs.S3FileSystem().pipe_file(f"{bucket}/x", b"1")
    assert s3fs.S3FileSystem().cat_file(f"{bucket}/x") == b"1"
    with environment({"AWS_SECRET_ACCESS_KEY": "0" * 40}), pytest.raises(PermissionError):
        s3fs.S3FileSystem().cat_file(f"{bucket}/x")


def test_an_object_of_many_parts_comes_back_whole(reached, bucket):
    content = os.urandom(1 << 16) * 176
    filesystem = s3fs.S3FileSystem()
    with filesystem.open(f"{bucket}/large", "wb", block_size=5 << 20) as file:
        file.write(content)
    assert filesystem.cat_file(f"{bucket}/large") == content


def test_uploading_again_uploads_what_changed(reached, bucket, tmp_path):
    for name in ("a", "dt=1/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert upload(tmp_path, f"s3://{bucket}/lake") == 2
    assert upload(tmp_path, f"s3://{bucket}/lake") == 0
    (tmp_path / "a").write_text("other")
    assert upload(tmp_path, f"s3://{bucket}/lake") == 1
    filesystem = s3fs.S3FileSystem()
    assert sorted(filesystem.find(bucket)) == [f"{bucket}/lake/a", f"{bucket}/lake/dt=1/b"]
    assert filesystem.cat_file(f"{bucket}/lake/a") == b"other"


def test_what_it_holds_is_there_the_next_time_and_the_secret_is_another(tmp_path):
    with open_object_store(tmp_path) as store, environment(store.environment):
        filesystem = s3fs.S3FileSystem()
        filesystem.mkdir("kept")
        filesystem.pipe_file("kept/x", b"1")
    assert not is_running(store.pid)
    with open_object_store(tmp_path) as again, environment(again.environment):
        assert s3fs.S3FileSystem().cat_file("kept/x") == b"1"
    assert again.secret != store.secret
    assert store.secret not in repr(store)


def test_it_ends_with_the_process_that_opened_it_however_that_ends(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", OPENER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as opener:
        pid = int(opener.stdout.readline())
        assert is_running(pid)
        opener.kill()
    assert until_gone(pid)


def test_the_command_prints_what_a_shell_needs_and_ends_at_ctrl_c(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "infra.object_store", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as command:
        lines = [command.stdout.readline() for _ in range(5)]
        command.send_signal(signal.SIGINT)
        assert command.wait(30) == 0
    names = [re.match(r"export (\w+)=\S+\n", line)[1] for line in lines[:4]]
    assert names == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"]


def test_a_server_that_cannot_start_is_told_at_once(tmp_path):
    (tmp_path / "etc").write_text("a file where a folder should be")
    began = time.monotonic()
    with pytest.raises(ObjectStoreError, match=r"did not start .*File exists"), open_object_store(tmp_path):
        pass
    assert time.monotonic() - began < 30

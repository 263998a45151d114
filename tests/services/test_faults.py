"""Stores that refuse, lack the bucket, or do not answer: one sentence each, soon, and never with a secret in it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import s3fs

from gmmdask import GaussianMixture, load_model, open_lake, save_model
from gmmdask.errors import GmmdaskError, StorageError, UnreadablePartitionError
from gmmdask.nightly import run_night
from gmmdask.warehouse import open_staging
from tests.nightly.lakes import write_day
from tests.services.conftest import environment
from tests.services.test_night import settings_in

WRONG = "wrong0secret0wrong0secret0wrong0secret00"
SOON = 30.0

MODEL = GaussianMixture(1).fit([[0.0], [1.0]])


def open_it(bucket: str) -> None:
    open_lake(f"s3://{bucket}/lake")


def save_it(bucket: str) -> None:
    save_model(MODEL, f"s3://{bucket}/model")


def load_it(bucket: str) -> None:
    load_model(f"s3://{bucket}/model")


def look_for_staged(bucket: str) -> None:
    open_staging(f"s3://{bucket}/work").waiting()


def stage(bucket: str) -> None:
    attempt = open_staging(f"s3://{bucket}/work").begin("0" * 16)
    attempt.write(0, [])


USES = (open_it, save_it, load_it, look_for_staged, stage)


def sentences(bucket: str, changes: dict[str, str | None], uses: tuple[Callable[[str], Any], ...] = USES) -> list[str]:
    """Return what every use says in a changed environment."""
    with environment(changes):
        return [sentence_of(use, bucket) for use in uses]


def sentence_of(use: Callable[[str], Any], bucket: str) -> str:
    began = time.perf_counter()
    with pytest.raises(StorageError) as caught:
        use(bucket)
    assert time.perf_counter() - began < SOON
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 450
    return sentence


def closed_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def test_a_wrong_secret(reached, bucket):
    for sentence in sentences(bucket, {"AWS_SECRET_ACCESS_KEY": WRONG}):
        assert re.search(
            rf"{bucket}/\w+.* refused the credentials .*check the environment \(AWS_ACCESS_KEY_ID", sentence
        )
        assert WRONG not in sentence
        assert reached.environment["AWS_ACCESS_KEY_ID"] not in sentence


def test_no_credentials_at_all(reached, bucket):
    absent = {"AWS_SECRET_ACCESS_KEY": None, "AWS_ACCESS_KEY_ID": None, "AWS_EC2_METADATA_DISABLED": "true"}
    files = {"AWS_SHARED_CREDENTIALS_FILE": "absent", "AWS_CONFIG_FILE": "absent"}
    for sentence in sentences(bucket, absent | files):
        assert re.search(rf"{bucket}/\w+.* there are none; check the environment", sentence)


def test_a_missing_bucket_is_told_and_not_made(reached):
    for sentence in sentences("no-such-bucket", {}, (open_it, save_it, load_it, stage)):
        assert "there is no bucket 'no-such-bucket'; create it, or correct the address" in sentence
    assert not s3fs.S3FileSystem().exists("no-such-bucket")


def test_an_endpoint_where_nothing_listens(reached):
    endpoint = f"http://127.0.0.1:{closed_port()}"
    for sentence in sentences("any", {"AWS_ENDPOINT_URL": endpoint}, (open_it, save_it, look_for_staged)):
        assert f"no answer from {endpoint}; check the network and the endpoint (AWS_ENDPOINT_URL" in sentence


def test_secrets_in_storage_options_are_hidden_too(reached, bucket):
    with pytest.raises(StorageError) as caught:
        open_lake(f"s3://{bucket}/lake", storage_options={"key": "somebody", "secret": WRONG})
    assert "somebody" not in str(caught.value)
    assert WRONG not in str(caught.value)


def test_a_reader_without_credentials_blames_the_store_and_not_the_file(reached, bucket, tmp_path):
    """As on a worker that was started without them."""
    lake = open_lake(settings_in(bucket, tmp_path, days=1).source.uri)
    with environment({"AWS_SECRET_ACCESS_KEY": WRONG}), pytest.raises(StorageError) as caught:
        list(lake.read(0))
    assert re.search(
        r"partition dt=2024-01-01/part.parquet refused the credentials .* of the workers", str(caught.value)
    )


def test_a_rewritten_and_a_removed_object_are_noticed(reached, bucket, tmp_path):
    lake = open_lake(settings_in(bucket, tmp_path).source.uri)
    first, second = (f"{bucket}/lake/{file.path}" for file in lake.files)
    s3fs.S3FileSystem().pipe_file(first, write_day(tmp_path, 7).read_bytes())
    s3fs.S3FileSystem().rm(second)
    with pytest.raises(UnreadablePartitionError, match="was rewritten since the lake was opened"):
        list(lake.read(0))
    with pytest.raises(UnreadablePartitionError, match="is gone since the lake was opened"):
        list(lake.read(1))


@pytest.mark.parametrize("lost", ["source", "registry", "staging"])
def test_a_night_that_loses_its_store_says_so_and_publishes_nothing(reached, bucket, tmp_path, lost):
    settings = settings_in(bucket, tmp_path, days=1)
    elsewhere = "s3://no-such-bucket/x"
    section = {"source": "source", "registry": "registry", "staging": "warehouse"}[lost]
    key = "staging" if lost == "staging" else "uri"
    changed = getattr(settings, section).model_copy(update={key: elsewhere})
    with pytest.raises(GmmdaskError, match="there is no bucket 'no-such-bucket'"):
        run_night(settings.model_copy(update={section: changed}))
    assert not (tmp_path / "house" / "warehouse.duckdb").exists()

"""The object store that the tests of this folder share: started once, on first use, a bucket of its own for every test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import s3fs

from infra.object_store import EnvironmentUnavailableError, ObjectStore, open_object_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Give a running store. Where its packages cannot be had the tests are skipped; in CI they must be had."""
    try:
        with open_object_store(tmp_path_factory.mktemp("object-store")) as running:
            yield running
    except EnvironmentUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def reached(store: ObjectStore) -> Iterator[ObjectStore]:
    """The same, with the environment that reaches it; workers inherit it."""
    with environment(store.environment):
        yield store


@pytest.fixture
def bucket(reached: ObjectStore) -> str:
    """Give a new bucket's name."""
    return new_bucket()


def new_bucket() -> str:
    name = f"test-{secrets.token_hex(4)}"
    s3fs.S3FileSystem().mkdir(name)
    return name


@contextmanager
def environment(variables: dict[str, str | None]) -> Iterator[None]:
    """Change the environment for a block; connections made in it or before it are not used on the other side."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()

"""Addresses that hold credentials are refused before anything is reached, and the secret is not repeated."""

from __future__ import annotations

import pytest

from gmmdask import open_lake
from gmmdask.errors import InvalidInputError
from gmmdask.storage import shown


@pytest.mark.parametrize("secret", ["hush", "hu/sh", "hu/sh/hush"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(secret: str):
    uri = f"s3://KEY:{secret}@bucket/lake"
    with pytest.raises(InvalidInputError, match="held credentials") as refused:
        open_lake(uri)
    assert "hu" not in str(refused.value)
    assert shown(uri) == "s3://bucket/lake"


def test_an_empty_address_is_refused():
    with pytest.raises(InvalidInputError, match="empty"):
        open_lake("")


def test_a_folder_may_hold_an_at_sign():
    assert shown("s3://bucket/folder@2x/lake") == "s3://bucket/folder@2x/lake"

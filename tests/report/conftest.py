"""Published runs that several tests read and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.worlds import Wish, World, full_wish, publish


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three segments in four features, the first of them named."""
    return publish(_folder(tmp_path_factory), Wish(names=["Night owls"]))


@pytest.fixture(scope="session")
def large_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Twelve segments in thirty features, with long names."""
    return publish(_folder(tmp_path_factory), full_wish())


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("report")

"""Compiled code that is kept belongs to the sources that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmmdask.engine.freshness import KERNELS, STAMP, drop_stale_code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "calling.py").write_text("def calling(): ...")
    (tmp_path / "called.py").write_text("def called(): ...")
    drop_stale_code(tmp_path)
    for name in ("calling.f-1.py311.nbi", "calling.f-1.py311.1.nbc", "calling.cpython-311.pyc"):
        (tmp_path / "__pycache__" / name).write_text("compiled")
    return tmp_path


def kept(folder: Path) -> set[str]:
    return {path.suffix for path in (folder / "__pycache__").iterdir()}


def test_what_was_compiled_from_these_sources_stays(folder):
    drop_stale_code(folder)
    assert kept(folder) == {".nbi", ".nbc", ".pyc", ".digest"}


@pytest.mark.parametrize("name", ["calling.py", "called.py", "new.py"])
def test_after_a_change_to_any_file_every_compiled_function_goes(folder, name):
    (folder / name).write_text("def changed(): ...")
    drop_stale_code(folder)
    assert kept(folder) == {".pyc", ".digest"}


def test_code_of_unknown_origin_goes(folder):
    (folder / "__pycache__" / STAMP).unlink()
    drop_stale_code(folder)
    assert kept(folder) == {".pyc", ".digest"}


def test_the_kernels_are_stamped_once_an_engine_is_imported():
    assert (KERNELS / "__pycache__" / STAMP).exists()
    assert (KERNELS / "stacked.py").exists()

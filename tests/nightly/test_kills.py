"""A night that is killed, by a signal nobody can catch, and run again ends as if nothing was."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gmmdask.nightly import run_night
from gmmdask.settings import load_settings
from tests.nightly.lakes import files_below, write_world
from tests.nightly.test_night import contents

ROOT = Path(__file__).parents[2]

VICTIM = """
import os, signal, sys
from gmmdask.nightly import run_night
from gmmdask.settings import load_settings

def progress(stage, done, total, detail):
    if [stage, str(done)] == sys.argv[2:]:
        os.kill(os.getpid(), signal.SIGKILL)

run_night(load_settings(sys.argv[1]), progress=progress)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    run_night(write_world(root, days=2))
    return root


@pytest.mark.parametrize("point", [("score", "1"), ("publish", "0")], ids=["half staged", "before publishing"])
def test_a_night_killed_and_run_again_ends_as_if_nothing_was(undisturbed, tmp_path, point):
    """Rows of every table and view; nothing else is left."""
    shutil.copytree(undisturbed / "lake", tmp_path / "lake")
    settings_file = shutil.copy2(undisturbed / "birds.toml", tmp_path)
    killed = subprocess.run(
        [sys.executable, "-c", VICTIM, settings_file, *point], check=False, cwd=ROOT, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    run_night(load_settings(settings_file))
    expected = contents(load_settings(undisturbed / "birds.toml"))
    assert contents(load_settings(settings_file)) == expected
    assert files_below(tmp_path) == files_below(undisturbed)

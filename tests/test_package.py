"""The package as a user meets it: what importing costs, what it offers, what the wheel holds."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import import_module, metadata
from pathlib import Path

import pytest

import gmmdask

ROOT = Path(__file__).parents[1]
HEAVY = {"dask", "distributed", "duckdb", "numba", "numpy", "pandas", "prefect", "pyarrow", "scipy", "sklearn"}

MEASURE = """
import json, sys, time
start = time.perf_counter()
import gmmdask
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def measure_import() -> dict[str, object]:
    run = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_importing_takes_under_three_tenths_of_a_second():
    assert min(float(measure_import()["seconds"]) for _ in range(3)) < 0.3


def test_importing_loads_no_array_library_and_no_cluster():
    loaded = {module.partition(".")[0] for module in measure_import()["modules"]}
    assert "gmmdask" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("name", gmmdask.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(gmmdask, name)
    assert value.__module__.startswith("gmmdask.")
    assert value.__doc__
    assert getattr(gmmdask, name) is value


def test_the_public_names_are_listed_once_and_in_order():
    assert gmmdask.__all__ == sorted(set(gmmdask.__all__))
    assert set(gmmdask.__all__) <= set(dir(gmmdask))


def test_an_unknown_name_is_refused_as_any_module_does():
    with pytest.raises(AttributeError, match=r"module 'gmmdask' has no attribute 'GaussianMixtures'"):
        gmmdask.GaussianMixtures  # noqa: B018


def test_a_submodule_is_not_hidden_by_a_public_name():
    for name in gmmdask.__all__:
        assert not (ROOT / "gmmdask" / f"{name}.py").exists()
        assert not (ROOT / "gmmdask" / name).exists()


def test_the_version_is_the_installed_one():
    assert gmmdask.__version__ == metadata.version("gmmdask")


def test_the_command_is_installed():
    (command,) = metadata.entry_points(group="console_scripts", name="gmmdask")
    assert callable(getattr(import_module(command.module), command.attr))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    folders = {name.partition("/")[0] for name in wheel.namelist()}
    assert folders == {"gmmdask", f"gmmdask-{gmmdask.__version__}.dist-info"}


def test_the_wheel_holds_every_module_the_annotations_and_the_license(wheel):
    names = set(wheel.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gmmdask").rglob("*.py")}
    assert modules | {"gmmdask/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_night_that_keeps_its_champion_loads_no_scikit_learn_and_no_dask():
    code = (
        "import sys, gmmdask.nightly; print(sorted({'sklearn', 'pandas', 'dask', 'plotly', 's3fs'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

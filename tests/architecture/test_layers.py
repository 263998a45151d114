"""Boundaries that import-linter cannot express: lists of what may be imported, read from the source text."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gmmdask"
# llvmlite is how a Numba intrinsic is written
MATHEMATICS = {"numpy", "scipy", "numba", "llvmlite", "threadpoolctl"}
NOT_IN_MATHEMATICS = {"logging", "time", "datetime", "socket", "subprocess", "multiprocessing", "pathlib", "shutil"}


def imported_modules(path: Path) -> set[str]:
    """Return every module that a file imports, at its top or inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(_members(node) if node.module == "gmmdask" else {"." * node.level + (node.module or "")})
    return names


def _members(node: ast.ImportFrom) -> set[str]:
    """Return the modules in `from gmmdask import ...`; anything else in it is taken from the package itself."""
    names = {alias.name for alias in node.names}
    modules = {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}
    return {f"gmmdask.{name}" for name in modules} | ({"gmmdask"} if names - modules else set())


def gmmdask_imports(path: Path) -> set[str]:
    return {name for name in imported_modules(path) if name.partition(".")[0] == "gmmdask"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "mixture").rglob("*.py")), ids=lambda path: path.stem)
def test_the_mathematics_imports_only_its_three_libraries(path):
    tops = {name.partition(".")[0] for name in imported_modules(path)}
    assert tops - set(sys.stdlib_module_names) - MATHEMATICS <= {"gmmdask"}
    assert tops & NOT_IN_MATHEMATICS == set()
    assert all(name.startswith(("gmmdask.mixture", "gmmdask.errors")) for name in gmmdask_imports(path))


def test_the_settings_know_nothing_but_the_errors():
    known = set().union(*(gmmdask_imports(path) for path in (PACKAGE / "settings").rglob("*.py")))
    assert known
    assert all(name.startswith(("gmmdask.errors", "gmmdask.settings")) for name in known)


def test_no_module_imports_the_public_names():
    modules = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert [path for path in modules if "gmmdask" in imported_modules(path)] == []

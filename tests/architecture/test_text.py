"""What stands in the repository's files: sizes that a reader can take in, and nothing that belongs to one machine."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {
    "",
    ".cfg",
    ".html",
    ".j2",
    ".json",
    ".md",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".txt",
    ".typed",
    ".yaml",
    ".yml",
}
GENERATED = {"demo", "build", "dist", "__pycache__"}

ONE_MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users|private|farm)/[\w.]+")
PARENT_CHECKOUT = re.compile(r"\.\./shared")
REGISTRY = re.compile(r"\b(?:extra-)?index[-]url|https?://\S*/simple\b")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")

LONGEST_FILE = 300
LONGEST_FUNCTION = 50


@cache
def texts() -> list[tuple[Path, str]]:
    """Return every text file that is part of the repository, by its path from the root."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or (not name.startswith(".") and name not in GENERATED)]
        found += [path for name in files if (path := Path(folder, name)).suffix in SUFFIXES]
    return [(path.relative_to(ROOT), path.read_text(encoding="utf-8")) for path in sorted(found)]


def mentions(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield every function's name with its lines, the docstring not counted."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield node.name, lines


def package_texts() -> list[tuple[Path, str]]:
    return [(path, text) for path, text in texts() if path.suffix == ".py" and path.parts[0] in {"gmmdask", "flows"}]


def test_the_walk_finds_the_files_it_should_judge():
    names = {path.as_posix() for path, _ in texts()}
    assert {"Makefile", "pyproject.toml", ".ci/run", "gmmdask/errors.py", "infra/requirements.txt"} <= names


def test_no_file_names_a_folder_of_one_machine():
    assert mentions(ONE_MACHINE) + mentions(PARENT_CHECKOUT) == []


def test_no_file_names_a_package_registry():
    assert mentions(REGISTRY) == []


def test_no_file_promises_work():
    assert mentions(UNFINISHED) == []


def lines_of_code(text: str) -> int:
    """Return the lines of a file, its docstrings not counted."""
    tree = ast.parse(text)
    documented = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = [node.body[0] for node in documented if ast.get_docstring(node, clean=False) is not None]
    return len(text.splitlines()) - sum(node.end_lineno - node.lineno + 1 for node in docstrings)


def test_no_file_of_the_package_is_long():
    lengths = {str(path): lines_of_code(text) for path, text in package_texts()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_page():
    lengths = {f"{path}:{name}": lines for path, text in package_texts() for name, lines in functions(text)}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_a_functions_docstring_is_not_counted_as_its_length():
    assert list(functions('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n')) == [("f", 2)]

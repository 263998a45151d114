"""The lock files: every package pinned and hashed, true to pyproject.toml, free of addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra" / "requirements.txt"
MATHEMATICS_LOCK = ROOT / "infra" / "requirements-mathematics.txt"
LOCKS = sorted(LOCK.parent.glob("requirements*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_lock(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Return every pinned requirement with its hashes."""
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.partition(" --hash")[0]), re.findall(r"--hash=(\S+)", line)) for line in entries]


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for requirement, _ in read_lock(path):
        (specifier,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return found


def group(name: str) -> list[str]:
    entries = PROJECT["dependency-groups"][name]
    nested = ([entry] if isinstance(entry, str) else group(entry["include-group"]) for entry in entries)
    return [line for lines in nested for line in lines]


def unmet(requirements: list[str], path: Path) -> list[str]:
    locked = pins(path)
    parsed = [Requirement(line) for line in requirements]
    return [
        str(requirement)
        for requirement in parsed
        if not (versions := locked.get(canonicalize_name(requirement.name), set()))
        or not all(requirement.specifier.contains(version) for version in versions)
    ]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_to_one_version_and_hashed(path):
    for requirement, hashes in read_lock(path):
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_address(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"\S*(?:://|file:|--(?:index|find|trusted)|/dev/)\S*", text) == []


def test_the_lock_meets_what_the_project_asks_for():
    assert unmet(PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"] + group("dev"), LOCK) == []


def test_the_lock_of_the_mathematics_meets_its_group_with_the_same_versions():
    assert unmet(group("mathematics"), MATHEMATICS_LOCK) == []
    locked = pins(LOCK)
    assert all(versions == locked[name] for name, versions in pins(MATHEMATICS_LOCK).items())


def test_the_mathematics_are_locked_without_data_frames_and_clusters():
    heavy = {"dask", "distributed", "pandas", "prefect", "pyarrow", "scikit-learn"}
    assert set(pins(MATHEMATICS_LOCK)) & heavy == set()

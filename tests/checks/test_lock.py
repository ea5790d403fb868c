"""The lock files of the image and the docs hold what pyproject.toml asks for, with hashes, and nothing private."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
IMAGE_LOCK = (ROOT / "requirements.lock").read_text("utf-8")
BUILD_LOCK = (ROOT / "requirements-build.lock").read_text("utf-8")
DOCS_LOCK = (ROOT / "requirements-docs.lock").read_text("utf-8")

PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; .+?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
"""A package, its version, and the hashes of its files."""
OWN = re.compile(r"^([a-z0-9-]+)==(?:.*\n)(?:    --hash=.*\n)+    # via(?:\n    #  )? wallet-cli ", re.MULTILINE)
"""A package that pyproject.toml named when the lock was made."""


def wanted(project: dict[str, Any]) -> list[Requirement]:
    """What the image's extras ask for."""
    extras = project["project"]["optional-dependencies"]
    return [*map(Requirement, [*project["project"]["dependencies"], *extras["serve"], *extras["postgres"]])]


def unmet(requirements: list[Requirement], lock: str) -> list[str]:
    """The requirements that a lock does not satisfy."""
    pinned = {name: Version(version) for name, version, _ in PIN.findall(lock)}
    return [
        str(each)
        for each in requirements
        if (version := pinned.get(canonicalize_name(each.name))) is None or version not in each.specifier
    ]


def test_the_image_lock_has_what_the_package_needs() -> None:
    assert unmet(wanted(PROJECT), IMAGE_LOCK) == []


def test_the_image_lock_has_nothing_from_before() -> None:
    assert sorted(OWN.findall(IMAGE_LOCK)) == sorted(canonicalize_name(each.name) for each in wanted(PROJECT))


def test_the_build_lock_has_the_build_tools() -> None:
    assert unmet([*map(Requirement, PROJECT["build-system"]["requires"])], BUILD_LOCK) == []


def test_the_docs_lock_has_what_builds_the_site() -> None:
    assert unmet([*map(Requirement, PROJECT["project"]["optional-dependencies"]["docs"])], DOCS_LOCK) == []


@pytest.mark.parametrize("asked", ["typer>=9999", "not-there-at-all"])
def test_a_stale_lock_is_found(asked: str) -> None:
    assert unmet([Requirement(asked)], IMAGE_LOCK) == [asked]


@pytest.mark.parametrize("lock", [IMAGE_LOCK, BUILD_LOCK, DOCS_LOCK])
def test_a_lock_has_versions_and_hashes_alone(lock: str) -> None:
    assert PIN.search(lock)
    rest = [line for line in PIN.sub("", lock).splitlines() if not re.match(r"^ *#|$", line)]
    assert rest == []
    assert "://" not in lock


def test_the_image_is_built_from_the_locks() -> None:
    """With the hashes asked for, and the extras that the lock was made for."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    installs = [line for line in re.split(r"&&|\n", text) if re.search(r"/pip\b.* install ", line)]
    assert len(installs) == 3
    for line in installs:
        assert ("--require-hashes" in line and "-r requirements" in line) or ("--no-index" in line)
    (extras,) = re.findall(r"\.whl\)\[([\w,]+)\]", text)
    made_for = re.findall(r"--extra (\w+)", (ROOT / "scripts" / "lock").read_text("utf-8"))
    assert extras.split(",") == made_for == ["serve", "postgres"]

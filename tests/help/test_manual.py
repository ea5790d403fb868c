"""The pages of the manual are installed where `man` looks, and have no fault that groff or mandoc can name.

Whether they are what the help says today is asked by tests/docs/test_reference.py.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from wallet_cli.cli import help_text, topics, tree
from wallet_cli.cli.command import built
from wallet_cli.cli.tree import Group

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "man").glob("man?/*"))
NO_DATE = 'missing date, using "": TH'
"""A page changes only when its text does."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_there_is_a_page_for_each_thing_and_no_other() -> None:
    commands = [words.replace(" ", "-") for words, _ in tree.each()]
    groups = [name for name, what in tree.TREE.items() if isinstance(what, Group)]
    expected = {"wallet.1", *(f"wallet-{name}.1" for name in commands + groups)}
    assert {page.name for page in PAGES} == expected | {f"wallet-{name}.7" for name in topics.NAMES}


def test_they_are_installed_where_man_looks() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    shared = data["wheel"]["shared-data"]
    assert (shared["man/man1"], shared["man/man7"]) == ("share/man/man1", "share/man/man7")
    assert "/man" in data["sdist"]["include"]  # a wheel can be made of it
    for folder in {source.partition("/")[0] for source in shared}:
        assert f"\nCOPY {folder} {folder}\n" in (ROOT / "Dockerfile").read_text()
        assert f"\n!{folder}\n" in (ROOT / ".dockerignore").read_text()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_finds_no_fault() -> None:
    for page in PAGES:
        said = run("mandoc", "-Tlint", "-W", "warning", str(page)).stdout.splitlines()
        assert [line for line in said if not line.endswith(NO_DATE)] == [], page


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_finds_no_fault_and_shows_the_examples_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANWIDTH", "80")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for words in ("tx add", "import", "config set"):
        page = ROOT / "man" / "man1" / f"wallet-{words.replace(' ', '-')}.1"
        done = run("man", "-l", "--warnings", str(page))
        assert (done.returncode, done.stderr) == (0, "")
        command = built(tree.command_of(words), words.rpartition(" ")[2])
        for example in help_text.told_by(command.callback).examples:
            assert example.line in done.stdout
    for name in topics.NAMES:
        done = run("man", "-l", "--warnings", str(ROOT / "man" / "man7" / f"wallet-{name}.7"))
        assert (done.returncode, done.stderr) == (0, "")

"""The scripts run with the tools of the project's environment, and say so where there are none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
USES_TOOLS = ("check", "docs", "fix", "test")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(project: Path, command: str, active: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment |= {} if active is None else {"VIRTUAL_ENV": str(active)}
    return subprocess.run(
        [str(project / "scripts" / command.split()[0]), *command.split()[1:]],
        cwd=project.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_benchmark_can_be_run_and_has_a_row_on_its_page() -> None:
    offered = run(ROOT, "bench common", None).stderr.partition(" of: ")[2].split()
    page = (ROOT / "bench" / "README.md").read_text("utf-8")
    assert len(offered) > 10
    assert sorted(f"{name}.py" for name in offered) == sorted(re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE))
    assert {path.stem for path in (ROOT / "bench").glob("*.py")} - {*offered} == {"common"}


@pytest.mark.parametrize("typed", ["{}", "{}.py", "bench/{}.py", "./bench/{}.py"])
def test_a_benchmark_is_named_as_it_is_typed(project: Path, typed: str) -> None:
    """It only says that it ran, in an environment where all is installed."""
    (project / "bench").mkdir()
    (project / "bench" / "tried.py").write_text("if __name__ == '__main__': print('ran')\n")
    (project / ".venv-bench" / "bin").mkdir(parents=True)
    (project / ".venv-bench" / "bin" / "python").symlink_to(sys.executable)
    (project / ".venv-bench" / "bin" / "pip").symlink_to("/bin/true")
    found = run(project, f"bench {typed.format('tried')}", None)
    assert (found.returncode, found.stdout, found.stderr) == (0, "ran\n", "")


@pytest.mark.parametrize("own", ["tools", "empty", "none"])
@pytest.mark.parametrize("active", ["tools", "empty", "none"])
def test_the_environment_of_the_project_comes_first(project: Path, own: str, active: str) -> None:
    other = project / "other"
    for folder, has in ((project / ".venv", own), (other, active)):
        if has != "none":
            folder.mkdir()
            (folder / "bin").symlink_to(TOOLS) if has == "tools" else (folder / "bin").mkdir()
    found = run(project, "test --version", None if active == "none" else other)
    if "tools" in (own, active):
        assert (found.returncode, found.stdout[:7]) == (0, "pytest "), found.stderr
    else:
        assert (found.returncode, found.stderr) == (1, "pytest is not installed in .venv: run scripts/setup\n")


@pytest.mark.parametrize("name", USES_TOOLS)
def test_a_script_without_its_tools_says_what_to_do(project: Path, name: str) -> None:
    found = run(project, name, None)
    assert found.returncode == 1
    assert found.stderr.endswith(" is not installed in .venv: run scripts/setup\n")


def test_each_script_that_uses_tools_asks_for_them() -> None:
    asks = {
        path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and ". scripts/venv" in path.read_text()
    }
    assert asks - {"venv"} == set(USES_TOOLS)


def test_what_only_the_format_mends_is_mended_too(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "bin").symlink_to(TOOLS)
    long = project / "long.py"
    long.write_text(f"import sys\nimport os\nlisted = [{', '.join(['os.sep, sys.path'] * 9)}]\n")
    run(project, "fix", None)
    found = subprocess.run([TOOLS / "ruff", "check", long], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert long.read_text("utf-8").startswith("import os\nimport sys\n\nlisted = [\n")

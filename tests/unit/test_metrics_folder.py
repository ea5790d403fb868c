"""The folder of several workers' counts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from wallet_cli.web.metrics_folder import PREFIX, metrics_folder
from wallet_cli.web.supervisor import METRICS_FOLDER_VARIABLE

NO_ROOM = """
import resource
from wallet_cli.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
raise SystemExit(main(["serve", "--workers", "2", "--port", "0"]))
"""


@pytest.mark.on_file("what is in the folder for temporary files")
def test_what_others_have_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of that name may be of a server that runs, of another version, or a copy that somebody keeps."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(METRICS_FOLDER_VARIABLE, "")
    kept = tmp_path / f"{PREFIX}2026" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with metrics_folder():
        own = Path(os.environ[METRICS_FOLDER_VARIABLE])
        assert own.parent == tmp_path
        assert own.is_dir()
    assert kept.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [kept.parent]


@pytest.mark.on_file("what is in the folder for temporary files")
def test_without_a_folder_for_temporary_files_it_says_which(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "WALLET_DB": str(tmp_path / "wallet.db")}
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 7
    assert "several workers need a folder for temporary files" in done.stderr
    assert "set TMPDIR to a folder that can be written" in done.stderr
    assert list(tmp_path.iterdir()) == []

"""The folder of several workers' counts: nothing is left of it, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOLDS = """
import os, signal
from wallet_cli.web.metrics_folder import metrics_folder
with metrics_folder():
    worker = os.fork()
    if worker == 0:
        signal.pause()
    print(worker, flush=True)
    signal.pause()
"""
NO_ROOM = """
import resource
from wallet_cli.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
raise SystemExit(main(["serve", "--workers", "2", "--port", "0"]))
"""


@contextmanager
def holding(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server's process, and its worker's id."""
    environ = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen([sys.executable, "-c", HOLDS], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            yield process, worker
        finally:
            process.kill()
            os.kill(worker, signal.SIGKILL)
            process.stdout.read()  # until both have ended


def folders(place: Path) -> set[str]:
    return {each.name for each in place.iterdir()}


@pytest.mark.on_file("what is in the folder for temporary files")
def test_what_a_killed_server_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with holding(tmp_path) as (first, _):
        left = folders(tmp_path)
        first.kill()
        first.wait()
        with holding(tmp_path):
            assert folders(tmp_path) > left  # its worker lives
    two = folders(tmp_path)
    assert len(two) == 2
    (tmp_path / "wallet-metrics-link").symlink_to(tmp_path / next(iter(two)))
    with holding(tmp_path):
        assert folders(tmp_path) & {*two, "wallet-metrics-link"} == {"wallet-metrics-link"}


@pytest.mark.on_file("what is in the folder for temporary files")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "wallet-metrics-theirs"
    theirs.mkdir()
    os.chown(theirs, os.geteuid() + 1, -1)
    with holding(tmp_path):
        assert theirs.exists()


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

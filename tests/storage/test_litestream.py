"""A ledger that Litestream copies, as docs/backups.md says: the copy is whole, whatever is killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import cli
from support.waiting import wait_for

PROGRAM = shutil.which("litestream", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
PAGE = Path(__file__).parent.parent.parent / "docs" / "backups.md"

pytestmark = [
    pytest.mark.on_file("Litestream copies files"),
    pytest.mark.skipif(PROGRAM is None, reason="there is no litestream for this platform"),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a command line of the page, in a folder with a ledger."""
    section = PAGE.read_text("utf-8").partition("## All the time, with Litestream\n")[2].partition("\n## ")[0]
    config = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert config is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "shop.db"))
    (tmp_path / "litestream.yml").write_text(
        config[1].replace("/home/mira", str(tmp_path)).replace("/mnt/backups", str(tmp_path / "copies"))
    )

    def run(line: str) -> str:
        assert line in section or line.startswith("wallet ")
        program, *words = line.replace("/home/mira", str(tmp_path)).split()
        if program == "wallet":
            done = cli.run(words)
            assert done.code == 0, done
            return done.out.strip()
        assert PROGRAM is not None
        return subprocess.run([PROGRAM, *words], check=False, capture_output=True, text=True, timeout=60).stderr

    for line in ("wallet register 9886977544", "wallet create 1"):
        run(line)
    return run


@contextmanager
def copying() -> Iterator[subprocess.Popen[bytes]]:
    """Litestream, which is killed at the end."""
    assert PROGRAM is not None
    with (
        Path("litestream.log").open("ab") as log,
        subprocess.Popen([PROGRAM, "replicate", "-config", "litestream.yml"], stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_the_copy_is_a_whole_ledger(run: Callable[[str], str]) -> None:
    total = 0

    def write(count: int) -> None:
        nonlocal total
        for _ in range(count):
            total += 1
            run(f"wallet credit 1 1 --key {total} -q")

    def is_copied() -> bool:
        Path("back.db").unlink(missing_ok=True)
        run("litestream restore -config litestream.yml -o back.db /home/mira/shop.db")
        if not Path("back.db").exists():
            return False
        run("wallet --db back.db verify -q")
        return run("wallet --db back.db balance 1 -q") == f"{total}.00"

    with copying():
        write(20)
        wait_for(is_copied)
        write(3)
    write(20)  # while it is not there
    with copying():
        write(20)
        wait_for(is_copied)
    run("wallet verify -q")
    write(1)
    run("wallet restore back.db --yes -q")
    total -= 1
    run("litestream reset -config litestream.yml /home/mira/shop.db")
    config = Path("litestream.yml")
    config.write_text(config.read_text().replace("copies/1", "copies/2"))
    with copying():
        write(5)
        wait_for(is_copied)

"""A database is backed up by PostgreSQL's own tools, as docs/postgres.md says: one moment, while others write."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import cli, postgres
from support.postgres import Cluster
from support.waiting import wait_for

pytestmark = postgres.MARKS

PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"


@contextmanager
def tool(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of PostgreSQL's programs, for the length of a `with` block and until it ends, which must be well."""
    with subprocess.Popen([postgres.programs() / name, *arguments], stderr=subprocess.PIPE) as process:
        yield process
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")


def run(url: str, line: str) -> str:
    done = cli.run(["--db", url, *line.split()])
    assert done.code == 0, done
    return done.out.strip()


@pytest.fixture
def url() -> Iterator[str]:
    """A ledger in which a bit of everything is."""
    url = postgres.databases().new()
    run(url, "register 9886977544 --name Asha")
    run(url, "create 1")
    run(url, "create 1/points --currency PTS/0")
    run(url, "key create till -q")
    run(url, "tx add 1/points 10 --credit --note paid")
    run(url, "hold add 1/points 3")
    yield url
    postgres.databases().forget(url)


@pytest.fixture
def copy() -> Iterator[str]:
    url = postgres.databases().new(empty=True)
    yield url
    postgres.databases().forget(url)


def test_a_dump_is_one_moment_and_a_whole_ledger_when_it_is_restored(url: str, copy: str, tmp_path: Path) -> None:
    file, written = str(tmp_path / "evening.dump"), 0
    with tool("pg_dump", "--format=custom", f"--file={file}", url) as dump:
        while dump.poll() is None or not written:
            written += 1
            run(url, f"tx add 1 1 --credit --key {written}")
    with tool("pg_restore", f"--dbname={copy}", file):
        pass
    run(copy, "verify -q")
    there = int(float(run(copy, "balance 1 -q")))
    assert 0 <= there <= written
    # What came after that moment is applied now, and what came before it is answered again: it goes on as a ledger.
    for number in range(1, written + 1):
        run(copy, f"tx add 1 1 --credit --key {number}")
    run(copy, "verify -q")
    assert float(run(copy, "balance 1 -q")) == written
    assert run(copy, "audit 1 -q") == run(url, "audit 1 -q")


def recipe(folder: Path) -> tuple[dict[str, str], str, str]:
    """The settings, the copy, and the way back, as the page has them, with its folders inside this one."""
    section = PAGE.read_text().partition("### To any moment\n")[2].partition("\n## ")[0]
    section = re.sub(r"/(?=(archive|backups|restored)\b)", f"{folder}/", section)
    settings, copying, restoring = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    return dict(re.findall(r"(\w+) = '?(.*?)'?\n", settings)), copying, restoring


def test_a_server_goes_back_to_a_moment() -> None:
    with postgres.cluster_folder() as folder:
        settings, copying, restoring = recipe(folder)
        server = Cluster(folder / "server", settings | {"fsync": "off"})
        environ = postgres.environment() | {
            "PATH": f"{postgres.programs()}:/usr/bin:/bin",
            "PGHOST": str(server.folder),
            "PGUSER": postgres.SUPERUSER,
        }

        def shell(text: str) -> None:
            call = {"env": environ, "cwd": folder, "timeout": 60} | postgres.somebody()
            subprocess.run(["bash", "-euc", text], check=True, **call)

        folder.chmod(0o777)
        shell("mkdir server archive backups")
        with server:
            url = server.url()
            run(url, "register 9886977544 --name Asha")
            run(url, "create 1")
            run(url, "tx add 1 1 --credit --key before")
            shell(copying)
            run(url, "tx add 1 10 --credit --key after")
            [[moment]] = server.execute("SELECT clock_timestamp()::text")
            run(url, "tx add 1 100 --credit --key too-late")
            [[last]] = server.execute("SELECT pg_walfile_name(pg_switch_wal())")
            wait_for((folder / "archive" / last).exists)
            shell(restoring.replace("2026-11-28 10:15:00+00", moment))
            try:
                there = server.url(port="5433")
                run(there, "verify -q")
                assert run(there, "balance 1 -q") == "11.00"
                run(there, "tx add 1 5 --debit --key new")
                assert run(url, "balance 1 -q") == "111.00"
            finally:
                shell("pg_ctl stop --mode=immediate --pgdata=restored")

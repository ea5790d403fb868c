"""A database is backed up by PostgreSQL's own tools, as docs/postgres.md says: one moment, while others write."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import cli, postgres

pytestmark = postgres.MARKS


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

"""A PostgreSQL server of Debian's in a folder: started, stopped, and ended as a power cut would.

PostgreSQL does not run as root: under root, it runs as another user, to whom its folder is given.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import psycopg
from support.postgres import environment, free_port

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
SUPERUSER = "postgres"

ROOT = "/"
"""A working directory that any user may enter."""


class Cluster:
    """One server: its programs, its folder, its port on 127.0.0.1 and its log.

    `user` is whom it runs as; None for who runs the tests. `settings` are lines of postgresql.conf.
    """

    def __init__(self, programs: Path, folder: Path, settings: Mapping[str, str], user: str | None = None) -> None:
        self.programs = programs
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.settings = dict(settings)
        self.user = user
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def make(self, *options: str) -> Self:
        """Make the folder's database files: a cluster whose superuser needs no password. `options` are initdb's."""
        self.folder.mkdir(exist_ok=True)
        self.own()
        owner = f"--username={SUPERUSER}"
        auth = ("--auth=trust", owner)
        self.run("initdb", *auth, "--encoding=UTF8", "--locale=C", "--no-sync", *options, "-D", str(self.data))
        # Not on the command line, because other programs of PostgreSQL's start it too.
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        return self

    def own(self) -> None:
        """Give the folder to whom the server runs as."""
        if self.user is not None:
            shutil.chown(self.folder, self.user)

    def start(self) -> Self:
        """Start it; returns when it answers. Raises AssertionError, with its log, if it does not."""
        self.begin()
        until_s = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            assert self._process is not None
            assert self._process.poll() is None, f"PostgreSQL did not start: {self.log.read_text()}"
            assert time.monotonic() < until_s, f"PostgreSQL does not answer: {self.log.read_text()}"
            time.sleep(0.05)
        return self

    def begin(self) -> None:
        """Start it, and do not wait."""
        options = ("-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", f"-cport={self.port}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=ROOT,
                env=self._environ(),
                start_new_session=True,
            )

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.sql("SELECT 1")
            return True
        return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it, by default at once and in order: sessions are ended, and a checkpoint is made."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def kill(self) -> None:
        """`kill -9` of its first process; the others end when they notice."""
        self.stop(signal.SIGKILL)

    def url(self, database: str = SUPERUSER, **more: str) -> str:
        given = f"?{urlencode(more)}" if more else ""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}{given}"

    def sql(self, statement: str, database: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run one statement; what it answers, if it does."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs to its end; what it said. Raises AssertionError if it fails."""
        done = subprocess.run(
            [self.programs / program, *arguments],
            capture_output=True,
            text=True,
            user=self.user,
            cwd=ROOT,
            env=self._environ(),
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _environ(self) -> dict[str, str]:
        return environment() | {"HOME": str(self.folder), "LC_ALL": "C", "TZ": "UTC"}

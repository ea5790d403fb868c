"""A PostgreSQL server for the tests of many servers: on a port, with a log that says who was undone, and databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support import postgres

LOGGED = {"log_line_prefix": "%d %a %e ", "log_min_error_statement": "panic"}
"""Each line of the log begins with the database, the program's name and the SQLSTATE."""


class Cluster(postgres.Cluster):
    """A server that makes databases of its own; over TCP, so that it can be reached through a network that is cut."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.tcp_port = postgres.free_port()
        super().__init__(folder, settings, port=self.tcp_port)
        self.log = folder / "log"
        self._databases = 0

    def new_database(self, isolation: str | None = None) -> str:
        """The name of an empty database; `isolation` is what its transactions begin with, unless they say otherwise."""
        self._databases += 1
        name = f"wallet{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        if isolation is not None:
            self.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
        return name


@contextmanager
def scratch_cluster(settings: Mapping[str, str]) -> Iterator[Cluster]:
    """A cluster in a folder that goes away, started, for the length of a `with` block."""
    with postgres.cluster_folder() as folder, Cluster(folder, settings) as cluster:
        yield cluster

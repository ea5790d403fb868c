"""Two servers on one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers.cluster import Cluster
from support.postgres import free_port
from support.server import Server

SERVERS = 2


@contextmanager
def serving(folder: Path, cluster: Cluster, database: str) -> Iterator[list[Server]]:
    """Two servers, each with a folder and a name of its own; a port stays a server's when it is started again."""
    with ExitStack() as stack:
        started = []
        for number in range(1, SERVERS + 1):
            own = folder / f"server{number}"
            own.mkdir()
            url = cluster.url(database, application_name=f"server{number}")
            server = Server(own, "--no-auth", "--port", str(free_port()), environ={"WALLET_DB": url})
            started.append(stack.enter_context(server))
        yield started

"""What the tests of many servers on one database share: a PostgreSQL server, started once a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.cluster import LOGGED, Cluster, scratch_cluster
from support import postgres


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    missing = postgres.why_not()
    if missing is not None:
        pytest.skip(missing)
    with scratch_cluster(postgres.QUICK | LOGGED) as started:
        yield started

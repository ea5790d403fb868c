"""Two servers and three terminals on one PostgreSQL, by either isolation: the ledger is whole, and nobody was told 503.

WALLET_TEST_WHOLE=1 makes 100,000 operations a level, and the default run fewer of the same.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import traffic
from servers.cluster import Cluster
from servers.pair import serving
from support import business, processes, server
from support.server import Server
from support.sizes import size

OPERATIONS = size(2_000, 100_000)
LONGEST_S = 1800
PLAN = business.Plan(OPERATIONS, read_every_s=0.5, opening=business.MAX_AMOUNT)

SERIALIZATION_FAILURE = "40001"
COLLISIONS = (SERIALIZATION_FAILURE, "40P01", "23505")
"""What is carried out again: it was undone, it was in a deadlock, or it took a number that somebody else took first."""

APPLIED = {"Post", "Transfer", "PlaceHold", "CaptureHold", "VoidHold", "Reverse"}
REFUSALS = {
    "insufficient_funds", "hold_not_open", "capture_exceeds_hold", "reversal_exceeds_original", "not_reversible",
}  # fmt: skip
GUESSES = {"hold_not_found", "transaction_not_found"}
"""Answers to a writer that guessed what the newest hold or transaction of the hot wallet is."""


class Seen(NamedTuple):
    """A day: what happened, what is wrong with the ledger, and collisions as servers and as PostgreSQL count them."""

    outcome: business.Outcome
    problems: list[str]
    retries: int
    collisions: Counter[tuple[str, str]]
    """By the name of the program and the SQLSTATE."""


def a_day(folder: Path, cluster: Cluster, isolation: str, monkeypatch: pytest.MonkeyPatch, operations: int) -> Seen:
    """Everybody's day on a database of its own, whose transactions are of that isolation."""
    monkeypatch.setattr(processes, "ALONE_TIMEOUT_S", LONGEST_S)
    database = cluster.new_database(isolation)
    monkeypatch.setenv("WALLET_DB", cluster.url(database, application_name="day"))
    with serving(folder, cluster, database) as servers:
        asked = traffic.Day(operations, tuple(each.address for each in servers))
        outcome, problems = processes.alone(traffic.day, folder, PLAN._replace(operations=operations), asked)
        retries = sum(retried(each) for each in servers)
        assert [each.stop() for each in servers] == [0] * len(servers)
    pattern = re.compile(rf"^{database} (\S+) ({'|'.join(COLLISIONS)}) ERROR", re.MULTILINE)
    return Seen(outcome, problems, retries, Counter(pattern.findall(cluster.log.read_text())))


def retried(running: Server) -> int:
    """How many batches a server says it carried out again."""
    found = re.search(r"^wallet_retries_total (\S+)$", running.client().get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_two_servers_and_three_terminals_add_up(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    outcome, problems, retries, collisions = a_day(tmp_path, cluster, isolation, monkeypatch, OPERATIONS)
    print(f"{isolation}: {outcome.operations:,} operations, {outcome.seconds:.1f} s, {outcome.snapshots} snapshots")
    print(f"  refused: {dict(outcome.refused)}")
    print(f"  carried out again by the servers: {retries}; undone by PostgreSQL: {dict(collisions)}")
    # Among them would be an answer of 503 or 500, or its like in a terminal.
    assert problems == []
    assert outcome.operations == OPERATIONS
    assert set(outcome.applied) == APPLIED
    assert REFUSALS <= set(outcome.refused) <= REFUSALS | GUESSES
    assert sum(report.replayed for report in outcome.reports) > 0
    assert outcome.snapshots > 2

    by_servers = sum(count for (name, _), count in collisions.items() if name.startswith("server"))
    if isolation == "serializable":
        assert sum(count for (_, code), count in collisions.items() if code == SERIALIZATION_FAILURE) > 0
        # The others were reads of one statement, which are asked again where they are.
        assert 0 < retries <= by_servers
    else:
        # Row locks alone, taken in one order: nobody is undone.
        assert (retries, collisions) == (0, Counter())


# The audit sees what it is for: the same day without the row locks fails.

NO_ROW_LOCKS = """
import inspect, textwrap
from wallet_cli.storage import postgres
source = textwrap.dedent(inspect.getsource(postgres.PostgresStore.lock))
assert " FOR UPDATE" in source
exec(source.replace(" FOR UPDATE", ""), vars(postgres))
postgres.PostgresStore.lock = postgres.lock
# Two that end one hold would collide at the number of their event.
from wallet_cli.domain.model import Event
from wallet_cli.storage import sql, writing
writing._STATEMENTS[Event] = sql.INSERT_EVENT + " ON CONFLICT DO NOTHING"
from wallet_cli.__main__ import start
start()
"""


def test_a_day_without_row_locks_is_found_out(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PROGRAM", [sys.executable, "-X", "utf8", "-c", NO_ROW_LOCKS])
    seen = a_day(tmp_path, cluster, "read committed", monkeypatch, 1_500)
    assert seen.problems

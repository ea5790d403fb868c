"""Turns that the database gives: what it undoes is carried out again, whole; waits are bounded; clocks may differ."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import cli, faults, postgres, processes
from support.engines import opened
from support.faults import Fault
from support.waiting import WAIT_S, wait_for

from wallet_cli.domain import events
from wallet_cli.domain.commands import Applied, Command, PlaceHold, Post, Transfer
from wallet_cli.domain.model import Policy, Transaction
from wallet_cli.domain.remarks import NOTHING
from wallet_cli.domain.rules import State
from wallet_cli.engine import executor
from wallet_cli.errors import Busy, StorageError
from wallet_cli.operations import verification
from wallet_cli.storage import postgres as storage
from wallet_cli.storage import sql
from wallet_cli.storage.pg_connection import plain, translated

pytestmark = postgres.MARKS

ISOLATIONS = ("read committed", "repeatable read", "serializable")
WALLETS = 4

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def begun() -> str:
    """A ledger to copy: one user with four wallets of 100.00."""

    def fill(url: str) -> None:
        lines = ["register 9886977544"]
        for number in range(1, WALLETS + 1):
            lines += [f"create 1/w{number}", f"tx add 1/w{number} 100 --credit"]
        for line in lines:
            assert cli.run(["--db", url, *line.split()]).code == 0

    return postgres.made_once("turns", fill)


@pytest.fixture
def url(begun: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    made = postgres.databases().new(of=begun)
    monkeypatch.setenv("WALLET_DB", made)
    yield made
    postgres.databases().forget(made)


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    """Another program in the same database, in a transaction that it ends when the test says so."""
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()


def waiting(url: str) -> int:
    """How many sessions wait for a lock."""
    with psycopg.connect(url, autocommit=True) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def beside(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Do some work in a thread beside the block; afterwards, what it returned is in the list."""
    done: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(work)
        yield done
        done.append(result.result(WAIT_S))


def limit(other: Connection, wallet_id: int) -> None:
    """Let another program set a wallet's limit, in both places, and record it."""
    other.execute("UPDATE wallets SET daily_debit = 5000 WHERE id = %s", (wallet_id,))
    other.execute("UPDATE witnesses SET daily_debit = 5000 WHERE wallet_id = %s", (wallet_id,))
    row = other.execute(translated(sql.WALLET_BY_ID), {"id": wallet_id}).fetchone()
    last = other.execute(translated(sql.last_events(1)), (events.WALLET, wallet_id)).fetchone()
    assert row is not None
    assert last is not None
    details = {"wallet": events.of_wallet(sql.to_wallet(row))}
    made = events.follow(sql.to_event(last), (events.WALLET, wallet_id), 0, None, "limits set", details)
    other.execute(translated(sql.INSERT_EVENT), made)


def append(other: Connection, wallet_id: int) -> None:
    """Let another program credit a wallet that has one transaction, as the rules would."""
    first = other.execute(translated(sql.TRANSACTION_BY_SEQ), {"wallet_id": wallet_id, "seq": 1}).fetchone()
    assert first is not None
    last = sql.to_transaction(first)
    state = State(Policy())
    state.last[wallet_id] = last
    made = state.append(last, True, 1, last.at_us, NOTHING, None)
    other.execute(translated(sql.INSERT_TRANSACTION), plain(sql.transaction_values(made)))
    other.execute("UPDATE witnesses SET seq = 2, hash = %s WHERE wallet_id = %s", (made.hash, wallet_id))


BATCH: list[Command] = [
    Post(1, False, 1000, key="a"),
    Transfer(1, 2, 500, key="b"),
    PlaceHold(2, 700, 3600, None, "c"),
    Post(2, False, 20_000, key="refused"),
    Post(1, True, 1, key="a"),
]


def kinds(results: list[Any]) -> list[str]:
    return [type(result).__name__ for result in results]


AS_MADE = ["Applied", "Applied", "Applied", "Refusal", "Refusal"]
"""What becomes of the batch: too much is asked for, and a key is used for another request."""


def carry_out(url: str) -> tuple[list[str], int]:
    """What becomes of the batch, and how often it was carried out again."""
    with opened(url) as ledger:
        return kinds(ledger.executor.run(BATCH, "batch")), ledger.executor.retries


def whole(url: str, transactions: int) -> None:
    answer = cli.run(["--db", url, "verify", "--json"])
    assert (answer.code, answer.json["transactions"]) == (0, transactions), answer


def test_a_batch_undone_for_another_writer_is_carried_out_again(url: str, other: Connection) -> None:
    """40001: at an isolation that sees the past, a row that another changed meanwhile cannot be locked."""
    postgres.isolated(url, "repeatable read")
    limit(other, 2)
    with beside(lambda: carry_out(url)) as done:
        wait_for(lambda: waiting(url) == 1)
        other.commit()
    assert done == [(AS_MADE, 1)]
    whole(url, WALLETS + 3)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_batch_of_a_deadlock_is_carried_out_again(url: str, other: Connection, isolation: str) -> None:
    """40P01: the other has what the batch wants, and wants what the batch has; PostgreSQL ends the batch's turn."""
    name = url.partition("?")[0].rpartition("/")[2]
    # Who waits looks for a deadlock once, after so long: by then the other has to wait too.
    postgres.databases().execute(f"ALTER DATABASE {name} SET deadlock_timeout = '1s'")
    postgres.isolated(url, isolation)
    other.execute("SET LOCAL deadlock_timeout = '60s'")
    other.execute("SELECT FROM wallets WHERE id = 2 FOR UPDATE")
    with beside(lambda: carry_out(url)) as done:
        wait_for(lambda: waiting(url) == 1)
        other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
        other.commit()
    ((kinds_, retries),) = done
    assert (kinds_, retries >= 1) == (AS_MADE, True)
    whole(url, WALLETS + 3)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_number_that_another_took_first_is_not_taken_twice(url: str, isolation: str) -> None:
    """23505: who reads before the other commits would write the same seq."""
    postgres.isolated(url, isolation)
    with opened(url) as first, first.executor.turn("first") as turn:
        turn.carry_out([Post(1, True, 700, key="mine")])
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(carry_out, url)
            wait_for(lambda: waiting(url) == 1)
            first.store.commit()
            turn.evidence = None
            assert second.result(WAIT_S)[0] == AS_MADE
    whole(url, WALLETS + 4)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_collisions_reach_nobody(url: str, isolation: str) -> None:
    """Eight at once over four wallets, one of them hot: everybody is answered, and the money is all there."""
    postgres.isolated(url, isolation)

    def work(number: int) -> tuple[int, int]:
        """How often a batch was carried out again, and how much was paid in."""
        drawn = random.Random(number)
        paid = 0
        with opened(url) as ledger:
            for step in range(40):
                source, target = drawn.sample(range(1, WALLETS + 1), 2)
                batch: list[Command] = [Transfer(source, target, drawn.randint(1, 50)), Post(1, True, step)]
                done = kinds(ledger.executor.run(batch, "batch"))
                assert done == ["Applied", "Applied" if step else "Refusal"]
                paid += step
            return ledger.executor.retries, paid

    with ThreadPoolExecutor(8) as pool:
        retries, paid = zip(*pool.map(work, range(8)), strict=True)
    assert sum(retries) > 0 or isolation == "read committed"
    with opened(url) as ledger:
        balances = [account.last.balance for account in ledger.store.accounts_after(0, -1, 0)]
    assert sum(balances) == WALLETS * 10_000 + sum(paid)
    assert cli.run("verify").code == 0


def test_a_collision_too_many_is_told(url: str, other: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "MAX_TRIES", 1)
    postgres.isolated(url, "repeatable read")
    limit(other, 1)
    with beside(lambda: cli.run("tx add 1/w1 5 --credit --key k --json")) as done:
        wait_for(lambda: waiting(url) == 1)
        other.commit()
    assert (done[0].code, done[0].error["code"], done[0].error["retryable"]) == (6, "busy", True)
    whole(url, WALLETS)


def collide_at_the_commit(url: str, other: Connection, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int, int]:
    """Carry out the batch, and have it undone as late as at its commit: what becomes of it, how often it was carried
    out again, and how many of its keys are there.

    Each reads what the other writes, in rows that nobody locks: PostgreSQL sees it when both would be committed.
    """
    postgres.isolated(url, "serializable")
    other.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    other.execute("SET LOCAL session_replication_role = replica")  # a foreign key would wait for the wallet's lock
    other.execute("SELECT * FROM holds WHERE wallet_id = 2")
    append(other, 2)
    with opened(url) as ledger, monkeypatch.context() as patched:
        commit = ledger.store.commit

        def after_the_other() -> None:
            patched.undo()
            other.commit()
            commit()

        patched.setattr(ledger.store, "commit", after_the_other)
        done = kinds(ledger.executor.run(BATCH, "batch"))
        return done, ledger.executor.retries, len(ledger.store.keyed([(1, "a"), (1, "b")]))


def test_a_batch_that_is_undone_at_its_commit_is_carried_out_again(
    url: str, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert collide_at_the_commit(url, other, monkeypatch) == (AS_MADE, 1, 2)


def test_a_batch_that_is_not_carried_out_again_would_be_found(
    url: str, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deliberate fault: what the database undid counts as done."""
    fault = Fault(executor, "Executor._commit", "raise  # the engine has undone it, or knows no more", "return")
    with monkeypatch.context() as faulty:
        faults.put_in(faulty, fault)
        assert collide_at_the_commit(url, other, monkeypatch) == (AS_MADE, 0, 0)


# Waits


def test_a_turn_that_does_not_come_is_busy(url: str, other: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "0.2")
    other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
    done = cli.run("tx add 1/w1 5 --credit --key k --json")
    assert (done.code, done.error["code"], done.error["retryable"]) == (6, "busy", True)
    assert "no turn to write within 0.2 s" in done.error["message"]
    # Who wants another wallet, or only reads, does not wait.
    assert cli.run("tx add 1/w2 5 --credit").code == 0
    assert cli.run("balance 1/w1 -q").out == "100.00\n"
    other.rollback()
    assert "replayed" not in cli.run("tx add 1/w1 5 --credit --key k --json").json


def test_makers_wait_for_each_other_alone(url: str, other: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "0.2")
    other.execute(f"SELECT pg_advisory_xact_lock({storage.CREATING_LOCK})".encode())
    assert cli.run("register 9886977545").code == 6
    assert cli.run("create 1/w9").code == 6
    assert cli.run("tx add 1/w1 5 --credit").code == 0
    other.rollback()
    assert cli.run("register 9886977545 -q").out == "2\n"


@pytest.mark.parametrize("many", [1, 5, storage.COPY_FROM_ROWS])
def test_a_program_that_sleeps_in_its_turn_loses_it(url: str, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is told; others go on, and so can it. However it has written: by one statement, by several, or by COPY."""
    monkeypatch.setattr(storage, "IDLE_IN_TURN_S", 0.2)
    batch: list[Command] = [Post(1, True, 700, key=f"late{number}") for number in range(many)]
    with opened(url) as ledger:
        with pytest.raises(StorageError, match="idle-in-transaction"), ledger.executor.turn("asleep") as turn:  # noqa: PT012
            turn.carry_out(batch)
            pid = ledger.store.connection.info.backend_pid
            wait_for(lambda: not postgres.databases().execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))
        assert cli.run("tx add 1/w1 5 --credit --key others -q").out == "1-2\n"
        assert kinds(ledger.executor.run(batch, "again")) == ["Applied"] * many
    whole(url, WALLETS + 1 + many)


def test_a_reader_waits_for_nobody(url: str, other: Connection) -> None:
    other.execute("SELECT FROM wallets FOR UPDATE")
    other.execute("UPDATE wallets SET status = 'frozen'")
    for line in ("balance 1/w1", "tx list 1/w1", "verify", "export -o jsonl", "statement 1/w1"):
        assert cli.run(line).code == 0, line


def test_ctrl_c_while_another_has_the_row(url: str, other: Connection) -> None:
    other.execute("SELECT FROM wallets WHERE id = 1 FOR UPDATE")
    runs = [processes.Wallet(["tx", "add", "1/w1", "5", "--credit", "--key", f"k{number}"]) for number in range(4)]
    wait_for(lambda: waiting(url) == len(runs))
    for run in runs:
        run.process.send_signal(signal.SIGINT)
    outcomes = [run.finish() for run in runs]
    assert [(outcome.code, outcome.out, "Traceback" in outcome.err) for outcome in outcomes] == [(130, "", False)] * 4
    other.rollback()
    assert cli.run("tx add 1/w1 5 --credit --key k0 --json").json["id"] == "1-2"
    whole(url, WALLETS + 1)


# Clocks


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_time_does_not_run_backwards_in_a_wallet_though_clocks_differ(url: str, isolation: str) -> None:
    """Two servers, one of whose clocks is a minute behind, write to the same wallets in turns and at once."""
    postgres.isolated(url, isolation)
    minute_us = 60_000_000

    def work(number: int) -> None:
        drawn = random.Random(number)
        with opened(url) as ledger:
            clock = ledger.executor.clock
            ledger.executor.clock = lambda: clock() - number * minute_us
            for _ in range(30):
                source, target = drawn.sample(range(1, WALLETS + 1), 2)
                ledger.executor.run([Transfer(source, target, 1), Post(source, True, 1)], "batch")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    with opened(url) as ledger:
        for wallet_id in range(1, WALLETS + 1):
            times = [line.at_us for line in ledger.store.oldest_first(wallet_id)]
            assert all(one <= next_ for one, next_ in pairwise(times))
    assert cli.run("verify").code == 0


def test_one_after_the_other_with_clocks_a_minute_apart(url: str) -> None:
    with opened(url) as late, opened(url) as early:
        clock = late.executor.clock
        early.executor.clock = lambda: clock() - 60_000_000
        made: list[Transaction] = []
        for ledger in (late, early, late, early):
            (result,) = ledger.executor.run([Post(1, True, 1)], "one")
            assert isinstance(result, Applied)
            assert isinstance(result.made, Transaction)
            made.append(result.made)
    times = [each.at_us for each in made]
    assert times == sorted(times)
    assert times[1] == times[0]  # the moment of the one before, as its own clock has yet to get there
    assert times[3] == times[2]


# Behind a pool


@pytest.fixture
def pooled(url: str, tmp_path: Path) -> Iterator[str]:
    """The ledger behind pgbouncer, which gives each transaction whichever of two sessions is free."""
    if postgres.is_given():
        pytest.skip("needs a server on a socket of this machine")
    with postgres.pooled(url, sessions=2) as through:
        yield through


def test_a_ledger_behind_a_pool_is_used_as_any_other(pooled: str) -> None:
    """One command after another, each a connection; what is read piece by piece stays in one session."""
    with opened(pooled) as ledger:
        session = ledger.store.connection
        assert session.info.backend_pid != session.execute("SELECT pg_backend_pid()").fetchall()[0][0]
    for line in (
        "register 9886977545",
        "create 2",
        "tx add 2 5 --credit --key k",
        "tx add 2 5 --credit --key k",
        "transfer 1/w1 2 5",
        "hold add 2 3",
        "balance 2",
        "verify",
        "export",
        "tx list 2",
        "key create till",
    ):
        done = cli.run(["--db", pooled, *line.split()])
        assert done.code == 0, done.err
    whole(pooled, WALLETS + 3)


def test_many_share_the_sessions_of_a_pool(pooled: str) -> None:
    """Six at once through two sessions: each turn is one session's, and nothing of one is left for the next."""

    def work(number: int) -> None:
        drawn = random.Random(number)
        with opened(pooled) as ledger:
            for step in range(25):
                source, target = drawn.sample(range(1, WALLETS + 1), 2)
                assert kinds(ledger.executor.run([Transfer(source, target, 1, key=f"{number}-{step}")], "one")) == [
                    "Applied"
                ]
                account = ledger.store.account(source, ledger.now_us())
                assert account is not None
                assert account.last.seq > 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    whole(pooled, WALLETS + 2 * 6 * 25)


def prepared(store: storage.PostgresStore) -> bool:
    """Whether the session of an open ledger has the prepared statement of a turn."""
    found = store.connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = %s", [storage.PREPARED])
    return found.fetchone() == (1,)


REFUSED = Post(1, is_credit=False, amount=10**9)
CREDIT = Post(1, is_credit=True, amount=1)


def test_a_session_plans_the_reading_of_a_turn_once(url: str) -> None:
    """The first turn does without: a command has no other."""
    with opened(url) as ledger:
        assert isinstance(ledger.store, storage.PostgresStore)
        seen = []
        two = [CREDIT, Post(2, is_credit=True, amount=1)]
        for commands in ([CREDIT], [CREDIT], two, [REFUSED], [CREDIT], [CREDIT]):
            results = ledger.executor.run(commands, "pay")
            seen.append((isinstance(results[0], Applied), prepared(ledger.store)))
        assert [applied for applied, _ in seen] == [True, True, True, False, True, True]
        assert [there for _, there in seen][:3] == [False, True, True]
        assert seen[-1] == (True, True)
        assert ledger.executor.retries == 0
    assert cli.run("verify --json").json["transactions"] == WALLETS + 6


def test_preparing_it_waits_for_others_no_longer_than_a_turn_does(
    url: str, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has the table, as VACUUM FULL has, for as long as this test."""
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "0.2")
    with opened(url) as ledger:
        assert isinstance(ledger.store, storage.PostgresStore)
        ledger.executor.run([CREDIT], "pay")
        other.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            with pytest.raises(Busy, match=r"no turn to write within 0\.2 s"):
                ledger.executor.run([CREDIT], "pay")
        other.rollback()
        for _ in range(2):
            ledger.executor.run([CREDIT], "pay")
        assert prepared(ledger.store)
    assert cli.run("verify --json").json["transactions"] == WALLETS + 3


def test_noting_damage_waits_for_others_less_long_than_a_turn_does(
    url: str, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the whole ledger has all later writers wait behind it."""
    monkeypatch.setenv("WALLET_LOCK_TIMEOUT", "1")
    monkeypatch.setattr(verification, "LOOK_TIMEOUT_S", 0.1)
    busy: list[str] = []
    exclusively = storage.PostgresStore.exclusively

    @contextmanager
    def heard(store: storage.PostgresStore) -> Iterator[Any]:
        try:
            with exclusively(store) as found:
                yield found
        except Busy as error:
            busy.append(error.message)
            raise

    monkeypatch.setattr(storage.PostgresStore, "exclusively", heard)
    other.execute("UPDATE transactions SET amount = amount + 1 WHERE wallet_id = 1")
    other.commit()
    unnoted = "; this cannot be noted in the ledger"
    for is_noted in (False, True):
        if is_noted:
            assert cli.run("verify --json").code == 7
        other.execute("LOCK TABLE ledger IN ROW SHARE MODE")  # as each turn does
        assert cli.run("verify --json").error["message"].endswith(unnoted) is not is_noted
        other.rollback()
    assert busy == ["no turn to write within 0.1 s: others have the turn"] * 2


def test_it_is_planned_for_tables_that_grow(url: str) -> None:
    """Of a table with a few rows, all would be read: also when it has a million."""
    with opened(url) as ledger:
        assert isinstance(ledger.store, storage.PostgresStore)
        ledger.store.connection.execute("ANALYZE")
        for _ in range(3):
            ledger.executor.run([CREDIT], "pay")
        lines = ledger.store.connection.execute(f"EXPLAIN EXECUTE {storage.PREPARED}('{{1}}', 0)".encode()).fetchall()
    assert [line for (line,) in lines if "Seq Scan" in line] == []
    assert len([line for (line,) in lines if "Index" in line]) > 3


@pytest.mark.parametrize("what", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_session_that_has_lost_it_reads_without_it(url: str, what: str) -> None:
    """As behind a pool that gives another session: nothing was written yet, so the turn begins again."""
    with opened(url) as ledger:
        assert isinstance(ledger.store, storage.PostgresStore)
        for _ in range(2):
            ledger.executor.run([CREDIT], "pay")
        ledger.store.connection.pgconn.exec_(what.encode())  # the driver does not see it
        assert not prepared(ledger.store)
        for _ in range(3):
            assert isinstance(ledger.executor.run([CREDIT], "pay")[0], Applied)
        assert ledger.executor.retries == 1
        assert prepared(ledger.store)
    assert cli.run("verify --json").json["transactions"] == WALLETS + 5

"""What is written goes to PostgreSQL as text, with the commit: all of it comes back as it was, and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st
from psycopg import sql
from support import cli, postgres
from support.engines import opened

from wallet_cli.domain.commands import AddApiKey, Applied, Command, NoteUse, OpenWallet, PlaceHold, Post, Result
from wallet_cli.domain.model import Transaction
from wallet_cli.domain.money import parse_currency
from wallet_cli.domain.remarks import Remarks
from wallet_cli.errors import Collision, StorageError
from wallet_cli.operations import users
from wallet_cli.storage import pg_connection
from wallet_cli.storage import postgres as storage
from wallet_cli.storage import sql as statements

pytestmark = postgres.MARKS

AWKWARD = (
    "it's", "''", "'; DROP TABLE transactions; --", "\\", "\\'", "\\x00", "E'\\n'", '"', "a\tb", "$1 %s :key ?", "$$",
    "VALUES (?)", ");", "NULL", "𝛑 ₹ é \u0301", "\U0001f4b0", "{1,2}", "a  b", "--", "/* */",
)  # fmt: skip
"""Texts that would be something else if they were not quoted well."""


@pytest.fixture
def url() -> Iterator[str]:
    made = postgres.databases().new()
    with opened(made) as ledger:
        ledger.run(users.register(ledger, "9886977544"), "register")
        ledger.executor.run([OpenWallet(1, "main", parse_currency("INR"), None)], "opening")
    yield made
    postgres.databases().forget(made)


def applied(result: Result) -> Transaction:
    assert isinstance(result, Applied)
    assert isinstance(result.made, Transaction)
    return result.made


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_texts_come_back_as_they_were(url: str, conforming: str) -> None:
    """Whatever the role says that a backslash in a text means."""
    option = f"options=-c%20standard_conforming_strings%3D{conforming}"
    with opened(f"{url}{'&' if '?' in url else '?'}{option}") as ledger:
        shown = ledger.store._one("SHOW standard_conforming_strings", {}, lambda row: row[0])
        assert shown == conforming
        posts = [Post(1, True, 1, Remarks(text, f'{{"a":"{text}"}}'), f"{text} key", None) for text in AWKWARD]
        made = [applied(result) for result in ledger.executor.run(posts, "awkward")]
        holds = ledger.executor.run([PlaceHold(1, 1, 60, text, f"{text} hold") for text in AWKWARD], "awkward")
        kept = [ledger.store.transaction(1, each.seq) for each in made]
        held = [ledger.store.hold(1, number) for number in range(1, len(AWKWARD) + 1)]
    assert kept == made
    assert [each.remarks.note for each in made] == list(AWKWARD)
    assert [applied_hold.made for applied_hold in holds if isinstance(applied_hold, Applied)] == held
    assert cli.run(["--db", url, "verify"]).code == 0


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    made = postgres.databases().new()
    with psycopg.connect(made, autocommit=True) as connection:
        yield connection
    postgres.databases().forget(made)


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
)


@drawing(max_examples=200, deadline=None)
@given(row=st.tuples(VALUES, VALUES))
def test_any_value_is_read_as_itself(
    server: psycopg.Connection[tuple[object, ...]], row: tuple[int | str | bytes | None, ...]
) -> None:
    """Each value, spelled in an INSERT of two rows, against the driver's own way of sending it."""
    kinds = [{int: "bigint", bytes: "bytea"}.get(type(value), "text") for value in row]
    columns = sql.SQL(", ").join(map(sql.SQL, (f"{name} {kind}" for name, kind in zip("ab", kinds, strict=True))))
    with server.transaction(force_rollback=True):
        server.execute(sql.SQL("CREATE TEMPORARY TABLE spelled ({})").format(columns))
        server.execute(pg_connection.spelled("INSERT INTO spelled VALUES (?, ?)", [row, row], server.pgconn))
        asked = f"SELECT count(*) FROM spelled WHERE a IS NOT DISTINCT FROM %s::{kinds[0]}"
        found = server.execute(f"{asked} AND b IS NOT DISTINCT FROM %s::{kinds[1]}".encode(), row).fetchone()
    assert found == (2,)


def test_text_that_postgresql_does_not_keep_is_refused(url: str) -> None:
    with opened(url) as ledger:
        with pytest.raises(StorageError, match="NUL"):
            ledger.executor.run([Post(1, True, 1), Post(1, True, 1, Remarks("cut\0off"))], "awkward")
        assert ledger.store.transaction(1, 1) is None
        assert applied(ledger.executor.run([Post(1, True, 1)], "after")[0]).seq == 1


def test_what_changed_twice_in_a_batch_is_written_as_it_is_in_the_end(url: str) -> None:
    """One INSERT that met the same row twice would fail."""
    batch: list[Command] = [AddApiKey("till", b"k" * 32, False), NoteUse("till"), NoteUse("till")]
    batch += [PlaceHold(1, 1, 60, None, "h"), Post(1, True, 700), PlaceHold(1, 1, 60, None, "i")]
    with opened(url) as ledger:
        ledger.executor.run([Post(1, True, 700)], "before")
        ledger.executor.run(batch, "batch")
        operator = ledger.store.operator_by_name("till")
        account = ledger.store.account(1, 0)
    assert operator is not None
    assert operator.last_used_at_us is not None
    assert account is not None
    assert (account.wallet.held, account.wallet.hold_count) == (2, 2)


@pytest.mark.parametrize("many", [1, 2, storage.COPY_FROM_ROWS])
def test_a_batch_sees_what_an_earlier_one_of_its_turn_has_written(url: str, many: int) -> None:
    with opened(url) as ledger:
        with ledger.executor.turn("two") as turn:
            first = turn.carry_out([Post(1, True, 1, key=f"k{number}") for number in range(many)])
            again = turn.carry_out([Post(1, True, 1, key=f"k{number}") for number in range(many)])
            rest = turn.carry_out([Post(1, False, many)])
        assert [type(result).__name__ for result in again] == ["Replayed"] * many
        assert (applied(first[-1]).seq, applied(rest[0]).seq) == (many, many + 1)
    assert cli.run(["--db", url, "balance", "1/main", "-q"]).out == "0.00\n"


@pytest.mark.parametrize("many", [1, 10, storage.COPY_FROM_ROWS])
def test_what_a_batch_had_not_sent_is_not_sent_later(url: str, many: int) -> None:
    """Neither after it has collided, nor after it was abandoned."""
    with opened(url) as ledger:
        run, store = ledger.executor.run, ledger.store
        first = applied(run([Post(1, True, 1)], "first")[0])
        store.begin()
        store.lock([1], 0, creating=False)
        with pytest.raises(Collision):  # noqa: PT012
            store.write([first] * many)
            store.commit()
        store.rollback()
        with ledger.executor.turn("abandoned") as turn:
            turn.carry_out([Post(1, True, 1)] * many)
            turn.abandon()
        assert [applied(result).seq for result in run([Post(1, True, 1)] * many, "after")] == list(range(2, many + 2))
        count = store._one("SELECT count(*) FROM transactions", {}, lambda row: row[0])
    assert count == many + 1


def test_a_batch_is_two_messages_and_their_answers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin, lock and read; write and commit: each trip costs as much as ten transactions."""
    sent: list[bytes] = []
    execute = pg_connection.Connection.execute

    def noted(connection: pg_connection.Connection, query: bytes, *rest: object, **more: object) -> object:
        sent.append(query)
        return execute(connection, query, *rest, **more)  # type: ignore[arg-type]

    with opened(url) as ledger:
        monkeypatch.setattr(pg_connection.Connection, "execute", noted)
        results = ledger.executor.run([Post(1, True, 1), Post(1, True, 2), PlaceHold(1, 1, 60)], "batch")
        monkeypatch.undo()
    assert [type(result) for result in results] == [Applied] * 3
    reading, writing = sent
    assert reading.startswith(b"BEGIN; ")
    assert writing.endswith(b"; COMMIT")
    assert writing.count(statements.INSERT_TRANSACTION.partition(" (")[0].encode()) == 1

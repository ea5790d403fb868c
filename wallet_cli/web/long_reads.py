"""The long reads of a server (readers.py): each runs in a separate process, with the ledger open for reading.

So nothing here knows the server, and all arguments and results can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

from wallet_cli import documents
from wallet_cli.domain.ids import OwnedWallet, TypedWallet, UserName, WalletName
from wallet_cli.domain.text import cell, csv_lines, no_formula
from wallet_cli.import_export import exports
from wallet_cli.operations import audit as audit_trail
from wallet_cli.operations import (
    day_book,
    fields,
    finding,
    holds,
    ledgers,
    statements,
    transactions,
    users,
    verification,
    wallets,
)
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, as_told
from wallet_cli.operations.statements import Statement
from wallet_cli.operations.transactions import Wanted

MAX_EXAMINED = 100_000
"""How many transactions one page of a search examines; it returns a cursor to continue."""

MAX_STATEMENT_LINES = 5_000_000

CHUNK_CHARS = 64 * 1024
"""A shorter answer is sent in one piece, so that it cannot fail half-way."""

CSV_COLUMNS = fields.columns("statement")


class Searched(NamedTuple):
    """A requested list of transactions, as text."""

    wallet: OwnedWallet
    start: str | None
    end: str | None
    limit: int
    cursor: str | None
    wanted: Wanted
    counted: bool


def search(ledger: Ledger, asked: Searched) -> Answer:
    *_, counted = asked
    return transactions.listed(ledger, *asked[:-1], counted=counted, examined=MAX_EXAMINED)


class SearchedBook(NamedTuple):
    """The day book, as it is asked for."""

    start: str | None
    end: str | None
    limit: int
    cursor: str | None
    wanted: Wanted
    counted: bool


def history(ledger: Ledger, asked: SearchedBook) -> Answer:
    *_, counted = asked
    return day_book.listed(ledger, *asked[:-1], counted=counted, examined=MAX_EXAMINED)


def wallet_list(
    ledger: Ledger, user: UserName | None, region: str | None, limit: int, cursor: str | None, counted: bool
) -> Answer:
    return wallets.listed(as_told(ledger, phone_region=region), user).page(limit, cursor, counted)


def user_list(ledger: Ledger, text: str | None, limit: int, cursor: str | None, counted: bool) -> Answer:
    found = users.listed(ledger) if text is None else finding.users(ledger, text)
    return found.page(limit, cursor, counted)


def hold_list(ledger: Ledger, wallet: OwnedWallet, limit: int, cursor: str | None, counted: bool) -> Answer:
    return holds.listed(ledger, wallet).page(limit, cursor, counted)


class Audited(NamedTuple):
    """A part of the audit trail, as it is asked for."""

    wallet: TypedWallet | None
    user: UserName | None
    region: str | None
    limit: int
    cursor: str | None
    counted: bool


def audit(ledger: Ledger, asked: Audited) -> Answer:
    of = as_told(ledger, phone_region=asked.region)
    return audit_trail.audit(of, asked.wallet, asked.user).page(asked.limit, asked.cursor, asked.counted)


def find(ledger: Ledger, text: str, limit: int) -> Answer:
    return finding.find(ledger, text, limit, examined=MAX_EXAMINED)


def named(ledger: Ledger, name: str) -> Answer:
    return finding.named(ledger, name)


def overview(ledger: Ledger) -> Answer:
    return ledgers.overview(ledger)


def verify(ledger: Ledger, name: WalletName | None, region: str | None) -> Answer:
    return verification.verify(as_told(ledger, phone_region=region), name)


def seal(ledger: Ledger, folder: str, every_us: int) -> Answer:
    from wallet_cli.operations import seals

    return seals.seal_into(ledger, folder, every_us)


def export(ledger: Ledger, form: str, wallet: OwnedWallet | None) -> Iterator[bytes]:
    return in_chunks(exports.export(ledger, form, wallet))


class Asked(NamedTuple):
    """A wallet, and the period as text."""

    wallet: OwnedWallet
    start: str | None
    end: str | None


def statement(ledger: Ledger, form: str, asked: Asked) -> Iterator[bytes]:
    """A statement, in one of STATEMENTS. Raises InvalidInput, before the answer begins, if it is too long."""
    with statements.opened(ledger, *asked) as opened:
        opened.must_have_at_most(MAX_STATEMENT_LINES, "a statement", "ask for a shorter period, with from and to")
        yield from STATEMENTS[form](opened)


def _json(opened: Statement) -> Iterator[bytes]:
    """In the usual envelope, in constant memory."""

    def parts() -> Iterator[str]:
        yield '{"message": "statement", "data": '
        yield from statements.json_of(opened)
        yield "}"

    return in_chunks(parts())


def _csv(opened: Statement) -> Iterator[bytes]:
    """The lines in the form of `wallet statement -o csv`."""

    answers = statements.lines_answer(opened)
    rows = ([no_formula(cell(row.get(column))) for column in CSV_COLUMNS] for row in answers)
    return in_chunks(csv_lines(chain([CSV_COLUMNS], rows)))


def _html(opened: Statement) -> Iterator[bytes]:
    return in_chunks(documents.as_html(opened))


def _pdf(opened: Statement) -> Iterator[bytes]:
    yield documents.as_pdf(opened)


STATEMENTS: dict[str, Callable[[Statement], Iterator[bytes]]] = {
    "json": _json,
    "csv": _csv,
    "html": _html,
    "pdf": _pdf,
}


def in_chunks(parts: Iterator[str]) -> Iterator[bytes]:
    """Text parts, as UTF-8 in chunks of a good size."""
    waiting: list[str] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= CHUNK_CHARS:
            yield "".join(waiting).encode()
            waiting.clear()
            size = 0
    yield "".join(waiting).encode()

"""What a server reads in a process of its own (readers.py): each is called there, with the ledger open to read.

So nothing here knows of the server; and what each is given, and answers, can be pickled.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wallet_cli import documents
from wallet_cli.domain.ids import OwnedWallet, WalletName
from wallet_cli.domain.text import no_formula
from wallet_cli.import_export import exports
from wallet_cli.operations import fields, statements, transactions, verification
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger, as_told
from wallet_cli.operations.statements import Statement
from wallet_cli.operations.transactions import Wanted

MAX_EXAMINED = 100_000
"""How many transactions one page of a search goes over; it gives a cursor to go on from."""

MAX_STATEMENT_LINES = 5_000_000

CHUNK_CHARS = 64 * 1024
"""What is shorter is sent whole, so that nothing can go wrong with it half-way."""

CSV_COLUMNS = fields.columns("transactions")


class Searched(NamedTuple):
    """A list of transactions that is asked for, as it was written."""

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


def verify(ledger: Ledger, name: WalletName | None, region: str | None) -> Answer:
    return verification.verify(as_told(ledger, phone_region=region), name)


def export(ledger: Ledger, form: str, wallet: OwnedWallet | None) -> Iterator[bytes]:
    return in_chunks(exports.export(ledger, form, wallet))


class Asked(NamedTuple):
    """Which wallet, and its period as it was written."""

    wallet: OwnedWallet
    start: str | None
    end: str | None


def statement(ledger: Ledger, form: str, asked: Asked) -> Iterator[bytes]:
    """A statement, in one of STATEMENTS. Raises InvalidInput, before anything is answered, where it is too long."""
    with statements.opened(ledger, *asked) as opened:
        opened.must_have_at_most(MAX_STATEMENT_LINES, "a statement", "ask for a shorter period, with from and to")
        yield from STATEMENTS[form](opened)


def _json(opened: Statement) -> Iterator[bytes]:
    """In the envelope of every success, and in constant memory."""

    def parts() -> Iterator[str]:
        yield '{"message": "statement", "data": '
        yield from statements.json_of(opened)
        yield "}"

    return in_chunks(parts())


def _csv(opened: Statement) -> Iterator[bytes]:
    """The lines, as `wallet statement -o csv` prints them."""

    def parts() -> Iterator[str]:
        line = _Line()
        # Either half of this line end has a field quoted that holds it; the lines themselves end as everywhere else.
        writer = csv.writer(line, lineterminator="\r\n")
        writer.writerow(CSV_COLUMNS)
        for row in statements.lines_answer(opened):
            yield line.text[:-2] + "\n"
            writer.writerow([no_formula(_cell(row.get(column))) for column in CSV_COLUMNS])
        yield line.text[:-2] + "\n"

    return in_chunks(parts())


class _Line:
    """The last line that was written."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else str(value)


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
    """Text that comes in parts, as UTF-8 in chunks that are worth sending."""
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

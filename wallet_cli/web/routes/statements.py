"""The statement of a wallet over a period: as JSON, as CSV, and as documents for people."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wallet_cli import documents
from wallet_cli.documents.page import POLICY
from wallet_cli.domain.address import OwnedWallet
from wallet_cli.domain.text import no_formula
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.services import statements
from wallet_cli.services.context import Ledger
from wallet_cli.web.exchange import JSON_TYPE, Stream, attachment
from wallet_cli.web.routes.call import Call, must_see
from wallet_cli.web.site import Site
from wallet_cli.web.streaming import in_chunks

CSV_COLUMNS = (
    "id", "wallet_id", "seq", "kind", "is_credit", "amount", "balance", "currency", "at", "note", "key",
    "meta", "transfer", "reverses", "hold", "forced", "user_key",
)  # fmt: skip

ALONE = (b"content-security-policy", f"{POLICY}; frame-ancestors 'none'; sandbox".encode())
"""A page that loads nothing, runs nothing, and stands in no other page, whatever people wrote into it."""


class Asked(NamedTuple):
    """Which wallet, and its period as it was written."""

    wallet: OwnedWallet
    start: str | None
    end: str | None


Chunks = Callable[[Ledger, Asked], Iterator[bytes]]


async def get_statement(site: Site, call: Call) -> Stream:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    given = call.query("from", "to", "format")
    must_see(call.caller, ref.user_id)
    form = given.get("format", "json")
    if form not in FORMS:
        raise InvalidInput(f"not a format of statements: {shown(form)}", hint=f"one of {', '.join(FORMS)}")
    content_type, chunks = FORMS[form]
    asked = Asked(ref, given.get("from"), given.get("to"))

    def answer() -> Iterator[bytes]:
        with site.reading() as ledger:
            yield from chunks(ledger, asked)

    headers = () if form == "json" else (attachment(f"statement-{ref.wallet_id}.{form}"),)
    return Stream(200, content_type, answer(), (*headers, ALONE) if form == "html" else headers)


def _json(ledger: Ledger, asked: Asked) -> Iterator[bytes]:
    """In the envelope of every success, and in constant memory."""

    def parts() -> Iterator[str]:
        yield '{"message": "statement", "data": '
        yield from statements.json_parts(ledger, *asked)
        yield "}"

    return in_chunks(parts())


def _csv(ledger: Ledger, asked: Asked) -> Iterator[bytes]:
    """The lines, as `wallet statement -o csv` prints them."""

    def parts() -> Iterator[str]:
        line = _Line()
        # Either half of this line end has a field quoted that holds it; the lines themselves end as everywhere else.
        writer = csv.writer(line, lineterminator="\r\n")
        writer.writerow(CSV_COLUMNS)
        for row in statements.streamed(ledger, *asked):
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


def _html(ledger: Ledger, asked: Asked) -> Iterator[bytes]:
    with statements.opened(ledger, *asked) as statement:
        yield from in_chunks(documents.html(statement))


def _pdf(ledger: Ledger, asked: Asked) -> Iterator[bytes]:
    with statements.opened(ledger, *asked) as statement:
        made = documents.pdf(statement)
    yield made


FORMS: dict[str, tuple[bytes, Chunks]] = {
    "json": (JSON_TYPE.encode(), _json),
    "csv": (b"text/csv; charset=utf-8", _csv),
    "html": (documents.HTML_TYPE.encode(), _html),
    "pdf": (documents.PDF_TYPE.encode(), _pdf),
}

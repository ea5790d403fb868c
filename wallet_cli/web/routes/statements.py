"""The statement of a wallet over a period: as JSON, as CSV, and as documents for people."""

from __future__ import annotations

from wallet_cli import documents
from wallet_cli.documents.html import POLICY
from wallet_cli.domain.ids import OwnedWallet
from wallet_cli.errors import InvalidInput, shown
from wallet_cli.web import long_reads
from wallet_cli.web.messages import JSON_TYPE, Stream, attachment
from wallet_cli.web.routes.call import Call, must_see
from wallet_cli.web.server_state import ServerState

ALONE = (b"content-security-policy", f"{POLICY}; frame-ancestors 'none'; sandbox".encode())
"""A page that loads nothing, runs nothing, and cannot be framed, whatever user text it contains."""

FORMS = {
    "json": JSON_TYPE.encode(),
    "csv": b"text/csv; charset=utf-8",
    "html": documents.HTML_TYPE.encode(),
    "pdf": documents.PDF_TYPE.encode(),
}
"""The type of each form of a statement."""


async def get_statement(_site: ServerState, call: Call) -> Stream:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    given = call.query("from", "to", "format")
    must_see(call.caller, ref.user_id)
    form = given.get("format", "json")
    if form not in FORMS:
        raise InvalidInput(f"not a format of statements: {shown(form)}", hint=f"one of {', '.join(FORMS)}")
    asked = long_reads.Asked(ref, given.get("from"), given.get("to"))
    headers = () if form == "json" else (attachment(f"statement-{ref.wallet_id}.{form}"),)
    if form == "html":
        headers = (*headers, ALONE)
    return Stream(200, FORMS[form], long_reads.statement, (form, asked), headers)

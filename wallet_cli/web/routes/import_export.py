"""Exporting the ledger, and importing files."""

from __future__ import annotations

import re
import time
from collections import Counter
from io import BytesIO
from typing import Any

from wallet_cli.domain.ids import OwnedWallet
from wallet_cli.errors import Busy, InvalidInput, TimeConflict, WalletError, shown
from wallet_cli.hints import over_http
from wallet_cli.import_export import imports
from wallet_cli.import_export.imports.dialect import Dialect, dialect
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.web import long_reads
from wallet_cli.web.messages import Reply, Stream, attachment
from wallet_cli.web.requests import MAX_BATCH_BYTES
from wallet_cli.web.routes.call import Call, flag
from wallet_cli.web.server_state import ServerState

EXPORTS = {
    "jsonl": (b"application/x-ndjson", "jsonl"),
    "csv": (b"text/csv; charset=utf-8", "csv"),
    "hledger": (b"text/plain; charset=utf-8", "journal"),
    "beancount": (b"text/plain; charset=utf-8", "beancount"),
}
"""The media type of each export format, and the ending of its file name."""

IMPORTS = {"application/x-ndjson": "import.jsonl", "text/csv": "import.csv"}
"""The accepted media types, and a file name that tells the form."""

FLAGS = ("create", "dry_run", "atomic")
DUPLICATES = ("skip", "add")
DIALECT = ("delimiter", "decimal", "dates", "encoding", "map", "wallet")
"""The CSV options, as in `wallet import`."""
OPTION = re.compile(
    rf"--({'|'.join((*FLAGS, 'sort', 'duplicates', *DIALECT))})\b"
    r"( (?:'([^']*)'|(?=[^ a-z]|(?:skip|add|dmy|mdy|cp1252|utf)\b)))?"
)
"""In a hint: an option of `wallet import` that is a parameter here; the space before its value, if it has one; and what
is in the quotes of a shell."""
MAX_REJECTS = 1000
"""How many refused lines are listed; all of them are counted."""


async def export_ledger(_site: ServerState, call: Call) -> Stream:
    return _export(call, None, "ledger")


async def export_wallet(_site: ServerState, call: Call) -> Stream:
    ref = OwnedWallet(call.path_id("wallet_id"), call.path_id("user_id"))
    return _export(call, ref, f"wallet-{ref.wallet_id}")


def _export(call: Call, wallet: OwnedWallet | None, name: str) -> Stream:
    form = call.query("format").get("format", "jsonl")
    if form not in EXPORTS:
        raise InvalidInput(f"not a format of exports: {shown(form)}", hint=f"one of {', '.join(EXPORTS)}")
    content_type, ending = EXPORTS[form]
    return Stream(200, content_type, long_reads.export, (form, wallet), (attachment(f"{name}.{ending}"),))


async def import_file(server: ServerState, call: Call) -> Reply:
    given = call.query(*FLAGS, "sort", "duplicates", *DIALECT)
    call.no_key("an import", "lines")
    duplicates = given.get("duplicates")
    if duplicates not in (None, *DUPLICATES):
        raise InvalidInput(f"not a value for duplicates: {shown(duplicates)}", hint="duplicates=skip or add")
    create, dry_run, atomic = (flag(given, name) for name in FLAGS)
    options = imports.Options(create, dry_run, atomic, duplicates, flag(given, "sort"))
    try:
        delimiter, decimal, dates, encoding, columns, wallet = map(given.get, DIALECT)
        written = dialect(delimiter, decimal, dates, encoding, [columns] if columns else [], wallet)
    except InvalidInput as error:
        raise in_query(error) from None
    kind, body = await call.file(tuple(IMPORTS), MAX_BATCH_BYTES)
    with server.importing():
        work = Import(server, options, body, IMPORTS[kind], written)
        answer = await server.write_apart(work.run, call.caller)
    for code, times in work.codes.items():
        server.metrics.refused(code, times)
    return Reply(200, _message(options, answer), answer | {"rejects": work.rejects})


class Import:
    """One running import: `run` is called in its thread, and calls the rest."""

    def __init__(
        self,
        server: ServerState,
        options: imports.Options,
        body: bytes,
        name: str,
        written: Dialect = Dialect(),  # noqa: B008  (a tuple)
    ) -> None:
        self.rejects: list[dict[str, Any]] = []
        self.codes: Counter[str] = Counter()
        self._site = server
        self._options = options
        self._body = body
        self._name = name
        self._dialect = written
        self._until_s = time.monotonic() + server.deadline_s

    def run(self, ledger: Ledger) -> Answer:
        """Raises InvalidInput for a file that cannot be read at all; Busy if it cannot continue to its end.

        Everything committed by then stays, and sending the same file again continues. An atomic import applies nothing
        in that case.
        """

        def between_batches(done: int) -> None:
            if done < len(self._body):
                self._check_time(ledger)

        body = BytesIO(self._body)
        try:
            return imports.run(ledger, body, self._options, self._report, between_batches, self._name, self._dialect)
        except (InvalidInput, TimeConflict) as error:
            raise in_query(error) from None

    def _check_time(self, ledger: Ledger) -> None:
        """Stop if the server is stopping or the time for an answer is up; do not wait longer for a turn."""
        left_s = self._until_s - time.monotonic()
        if self._site.draining:
            raise Busy("the server is shutting down: the file was read only in part", hint="send it again")
        if left_s <= 0:
            raise Busy("the time is up: the file was read only in part", hint="send it again to continue")
        ledger.executor.lock_timeout_s = min(ledger.executor.lock_timeout_s, left_s)

    def _report(self, line: int, error: WalletError, _text: str) -> None:
        self.codes[error.code] += 1
        if len(self.rejects) < MAX_REJECTS:
            told = {"line": line, "code": error.code, "message": error.message, "hint": over_http(in_query(error).hint)}
            self.rejects.append(told)


def in_query(error: WalletError) -> WalletError:
    """The same error, with parameters of the request instead of command options in its hint."""
    if error.hint:
        error.hint = OPTION.sub(lambda found: found[1] + "=" * bool(found[2]) + (found[3] or ""), error.hint)
    return error


def _message(options: imports.Options, answer: Answer) -> str:
    if options.dry_run:
        return "nothing was changed: this is what an import would do"
    if options.atomic and answer["refused"]:
        return "nothing was changed: a line was refused"
    return "import done"

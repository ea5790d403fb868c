"""The OpenAPI 3.1 document, made from the same types that read the requests, with every error."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from wallet_cli import __version__
from wallet_cli.domain.address import MAX_NOTE_CHARS
from wallet_cli.services.transactions import KINDS
from wallet_cli.web import bodies
from wallet_cli.web.long_reads import MAX_EXAMINED
from wallet_cli.web.routes import parts, statements, transport
from wallet_cli.web.schemas import ANSWERS, ERRORS, ID, REF, TEXT, object_of, ref

API = "/api/v1"


def _in_path(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": ID} | more


def _in_query(name: str, schema: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    """A parameter of the URL; an empty one counts as not given."""
    found = {"name": name, "in": "query", "required": False, "allowEmptyValue": True, "schema": schema}
    return found if description is None else found | {"description": description}


USER_ID = _in_path("user_id")
WALLET_ID = _in_path("wallet_id")
SEQ = _in_path("seq", description="The N of a transaction's id, `W-N`.")
TYPE = _in_path("type", schema={"type": "string", "pattern": r"^[a-zA-Z0-9_.\-]{1,32}$"}, example="type1")
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]([ -~]*[!-~])?$"},
    "description": (
        "Makes it safe to send again: the first answer is given again (200), nothing is applied twice. The keys of"
        " users' tokens and those of operators are two sets."
    ),
}
LIMIT = _in_query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20})


def _cursor(pattern: str) -> dict[str, Any]:
    return _in_query("cursor", {"type": "string", "pattern": pattern}, "The `next_cursor` of the page before.")


COUNT = _in_query("count", {"enum": ["true", "false", ""]}, "`true`: say how many things the whole list has.")
PAGE = (LIMIT, _cursor("^([0-9]+)?$"), COUNT)
TRANSACTION_PAGE = (LIMIT, _cursor("^([0-9]+-[0-9]+)?$"), COUNT)
AMOUNT_TEXT = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?)?$"}
FILTERS = (
    _in_query("from", TEXT, "ISO 8601: from then on."),
    _in_query("to", TEXT, "ISO 8601: up to the end of the unit that it is written in."),
    _in_query("kind", {"type": "string", "pattern": f"^({'|'.join(KINDS)})?$"}, f"One of {', '.join(KINDS)}."),
    _in_query("min", AMOUNT_TEXT, "Amounts from this on."),
    _in_query("max", AMOUNT_TEXT, "Amounts up to this."),
    _in_query("text", {"type": "string", "maxLength": MAX_NOTE_CHARS}, "Notes with this in them, in either case."),
    _in_query("key", {"type": "string", "maxLength": 255}, "The one with this key."),
)

PERIOD = FILTERS[:2]


def _format(known: Collection[str], default: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^({'|'.join(known)})?$", "default": default}
    return _in_query("format", schema, f"One of {', '.join(known)}.")


def _flag(name: str, description: str) -> dict[str, Any]:
    return _in_query(name, {"type": "string", "pattern": "^(true|false)?$", "default": "false"}, description)


REQUIRED = {"required": True, "allowEmptyValue": False}
USER = _in_query("user", TEXT, "A phone number, or a user id, as in `id:1`.") | REQUIRED
WALLET = _in_query("wallet", TEXT, "USER or USER/TYPE, as in `9886977544/savings`.") | REQUIRED
REGION = _in_query("region", TEXT, bodies.REGION_WORDS)
AT = _in_query("at", TEXT, "ISO 8601: the balance at the end of the unit that it is written in.")

READ = (400, 401, 404, 405, 500, 503)
GOVERN = (400, 401, 403, 404, 405, 500, 503)
EXPORT = (400, 401, 403, 405, 500, 503)
WRITE = (400, 401, 403, 404, 405, 408, 409, 413, 415, 500, 503)
IMPORT = (400, 401, 403, 405, 408, 413, 415, 500, 503)
QUERY = (400, 401, 404, 405, 408, 413, 415, 500, 503)


class File(NamedTuple):
    """An answer that is no JSON value (exchange.Stream): its types, and the schema of data that it may be instead."""

    description: str
    content_types: tuple[str, ...]
    schema: str | None = None


Answer = tuple[str, str] | File
"""What is answered: a description, and the name of a schema or the types of a file."""

Body = type | dict[str, str]
"""What is sent: JSON of that type, or a file of one of these types, each with an example."""

IMPORT_EXAMPLES = {
    "application/x-ndjson": '{"wallet": "1/type1", "amount": "19.99", "kind": "credit", "key": "order-7"}\n',
    "text/csv": "wallet,amount,kind,note\n1/type1,5.00,debit,Lunch\n",
}


PART_EXAMPLE = '{"numbers": [7]}\n' + IMPORT_EXAMPLES["application/x-ndjson"]


def _operation(
    id_: str,
    summary: str,
    answers: dict[int, Answer],
    errors: tuple[int, ...],
    body: Body | None = None,
    parameters: tuple[Any, ...] = (),
) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": id_, "summary": summary, "responses": {}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = {"required": True, "content": _content(body)}
    for status, answer in answers.items():
        found["responses"][str(status)] = _success(answer)
    for status in errors:
        found["responses"][str(status)] = _response(ERRORS[status], ref("Failure"))
    return found


def _content(body: Body) -> dict[str, Any]:
    if isinstance(body, dict):
        return {kind: {"schema": TEXT, "example": example} for kind, example in body.items()}
    return {"application/json": {"schema": ref(body.__name__)}}


def _success(answer: Answer) -> dict[str, Any]:
    if not isinstance(answer, File):
        description, name = answer
        return _response(description, _envelope(name))
    content: dict[str, Any] = {kind: {"schema": TEXT} for kind in answer.content_types}
    if answer.schema is not None:
        content = {"application/json": {"schema": _envelope(answer.schema)}} | content
    return {"description": answer.description, "content": content}


def _envelope(name: str) -> dict[str, Any]:
    return object_of(message=TEXT, data=ref(name))


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _users() -> dict[str, Any]:
    return {
        "/users": {
            "post": _operation(
                "createUser",
                "Register a user.",
                {201: ("Registered.", "User"), 200: ("Registered before, with this key.", "User")},
                WRITE,
                bodies.NewUser,
                (KEY,),
            ),
            "get": _operation(
                "listUsers",
                "All users, in the order in which they registered. For operators.",
                {200: ("A page.", "UserPage")},
                GOVERN,
                parameters=PAGE,
            ),
        },
        "/users/{user_id}": {
            "get": _operation(
                "getUser", "A user. For operators.", {200: ("The user.", "User")}, GOVERN, parameters=(USER_ID,)
            )
        },
        "/tokens": {
            "post": _operation(
                "createToken",
                "A token for a user, good for this ledger. It ends with the key that asked for it.",
                {201: ("Issued.", "Token")},
                WRITE,
                bodies.TokenRequest,
            )
        },
    }


def _wallets() -> dict[str, Any]:
    def change(id_: str, summary: str, body: type = bodies.OneWallet) -> dict[str, Any]:
        return {"post": _operation(id_, summary, {200: ("The wallet as it is now.", "Wallet")}, WRITE, body)}

    return {
        "/wallets": {
            "get": _operation(
                "listWallets",
                "All wallets, in the order in which they were opened. For operators.",
                {200: ("A page.", "WalletPage")},
                GOVERN,
                parameters=PAGE,
            )
        },
        "/wallet/create": {
            "post": _operation(
                "createWallet",
                "Open a wallet. Each user's wallets have keys of their own.",
                {201: ("Opened.", "Wallet"), 200: ("Opened before, with this key.", "Wallet")},
                WRITE,
                bodies.NewWallet,
                (KEY,),
            )
        },
        "/wallet/get/{user_id}": {
            "get": _operation(
                "getWallets",
                "The wallets of a user.",
                {200: ("Wallets.", "WalletList")},
                READ,
                parameters=(USER_ID,),
            )
        },
        "/wallet/get/{user_id}/{type}": {
            "get": _operation(
                "getWallet",
                "A wallet, with its balance.",
                {200: ("The wallet.", "Wallet")},
                READ,
                parameters=(USER_ID, TYPE),
            )
        },
        "/wallet/limits": change("setLimits", "Set the limits that are given, and leave the others.", bodies.NewLimits),
        "/wallet/freeze": change("freezeWallet", "Let nothing into or out of a wallet until it is unfrozen."),
        "/wallet/unfreeze": change("unfreezeWallet", "Make a frozen wallet active again."),
        "/wallet/close": change("closeWallet", "Close a wallet for good; its balance has to be 0, with no holds."),
    }


def _transactions() -> dict[str, Any]:
    return {
        "/transactions/create": {
            "post": _operation(
                "createTransaction",
                "Credit or debit a wallet; durable when answered.",
                {201: ("Created.", "Transaction"), 200: ("Created before, with this key.", "Transaction")},
                WRITE,
                bodies.NewTransaction,
                (KEY,),
            )
        },
        "/transactions/batch": {
            "post": _operation(
                "createTransactions",
                "Up to 10,000 transactions: a result an item, in order; or all or none, with `atomic`.",
                {200: ("Results.", "BatchAnswer")},
                WRITE,
                bodies.Batch,
            )
        },
        "/transfers/create": {
            "post": _operation(
                "createTransfer",
                "Move money from one wallet to another in one step; users, between their own. The key is the source's.",
                {201: ("Done.", "Transfer"), 200: ("Done before, with this key.", "Transfer")},
                WRITE,
                bodies.NewTransfer,
                (KEY,),
            )
        },
        "/transactions/reverse": {
            "post": _operation(
                "reverseTransaction",
                "Take a transaction back, or a part of it, by a new one. With `force`, past floors and limits.",
                {201: ("Created.", "Transaction"), 200: ("Created before, with this key.", "Transaction")},
                WRITE,
                bodies.NewReversal,
                (KEY,),
            )
        },
        "/transactions/get/{user_id}/{wallet_id}": {
            "get": _operation(
                "listTransactions",
                "Transactions, the newest first: all, or those that fit each parameter that is given. A request goes"
                f" over at most {MAX_EXAMINED:,} of them, so with parameters a page may have fewer than `limit`, or"
                " none, and a `next_cursor` all the same: go on until that is null.",
                {200: ("A page.", "TransactionList")},
                READ,
                parameters=(USER_ID, WALLET_ID, *TRANSACTION_PAGE, *FILTERS),
            )
        },
        "/transactions/get/{user_id}/{wallet_id}/{seq}": {
            "get": _operation(
                "getTransaction",
                "A transaction, and how much of it has been reversed.",
                {200: ("The transaction.", "TransactionDetail")},
                READ,
                parameters=(USER_ID, WALLET_ID, SEQ),
            )
        },
        "/transactions/get/total_in_period": {
            "post": _operation(
                "totalInPeriod",
                "Credits and debits over a period.",
                {200: ("The total.", "Total")},
                QUERY,
                bodies.TotalQuery,
            )
        },
    }


def _holds() -> dict[str, Any]:
    return {
        "/holds/create": {
            "post": _operation(
                "createHold",
                "Keep money of a wallet from being spent, to be captured later; frees itself when it expires.",
                {201: ("Placed.", "Hold"), 200: ("Placed before, with this key.", "Hold")},
                WRITE,
                bodies.NewHold,
                (KEY,),
            )
        },
        "/holds/capture": {
            "post": _operation(
                "captureHold",
                "Debit what a hold keeps, or a part of it; the rest is released, unless `keep`.",
                {201: ("Created.", "Transaction"), 200: ("Created before, with this key.", "Transaction")},
                WRITE,
                bodies.NewCapture,
                (KEY,),
            )
        },
        "/holds/void": {
            "post": _operation(
                "voidHold", "Let go of what a hold keeps.", {200: ("Voided.", "Hold")}, WRITE, bodies.OneHold
            )
        },
        "/holds/get/{user_id}/{wallet_id}": {
            "get": _operation(
                "listHolds",
                "Holds of a wallet, the newest first, ended ones too.",
                {200: ("A page.", "HoldList")},
                READ,
                parameters=(USER_ID, WALLET_ID, *PAGE),
            )
        },
    }


def _files() -> dict[str, Any]:
    streamed = "It is of one moment, and sent as it is read; what cannot be sent whole ends before its end."
    exported = File(
        f"The file. {streamed}", tuple(dict.fromkeys(kind.decode() for kind, _ in transport.EXPORTS.values()))
    )
    form = _format(transport.EXPORTS, "jsonl")
    return {
        "/wallet/statement/{user_id}/{wallet_id}": {
            "get": _operation(
                "getStatement",
                "A wallet over a period: its balances, totals by kind, and every transaction, the oldest first.",
                {
                    200: File(
                        f"The statement; as csv, its lines alone. {streamed}",
                        tuple(kind.decode() for name, kind in statements.FORMS.items() if name != "json"),
                        "Statement",
                    )
                },
                READ,
                parameters=(USER_ID, WALLET_ID, *PERIOD, _format(statements.FORMS, "json")),
            )
        },
        "/export": {
            "get": _operation(
                "exportLedger",
                "The whole ledger as a file: jsonl can be imported again, hledger and beancount check the others. For"
                " operators.",
                {200: exported},
                EXPORT,
                parameters=(form,),
            )
        },
        "/export/{user_id}/{wallet_id}": {
            "get": _operation(
                "exportWallet",
                "One wallet as a file. For operators.",
                {200: exported},
                GOVERN,
                parameters=(USER_ID, WALLET_ID, form),
            )
        },
        "/import": {
            "post": _operation(
                "importFile",
                "Read transactions in, from JSON lines or CSV of at most 8 MiB, each line through the same rules; what"
                " was read before is not applied again. After 503, what was applied stays: send the same file again."
                " For operators.",
                {200: ("What became of its lines; where some were refused, too.", "ImportAnswer")},
                IMPORT,
                {kind: IMPORT_EXAMPLES[kind] for kind in transport.IMPORTS},
                (
                    _flag("create", "Register users and open wallets that are missing."),
                    _flag("dry_run", "Through the same rules, and change nothing."),
                    _flag("atomic", "All lines, or none where one is refused."),
                    _flag("sort", "Apply the lines in the order of their times."),
                    _in_query(
                        "duplicates",
                        {"type": "string", "enum": list(transport.DUPLICATES)},
                        "What to do with lines without a key that are there already; without it, the file is refused.",
                    ),
                    *(_in_query(name, TEXT, words) for name, words in DIALECT_WORDS.items()),
                ),
            )
        },
    }


DIALECT_WORDS = {
    "delimiter": "CSV: what separates columns; without it, the header shows.",
    "decimal": "CSV: the decimal sign, `,` or `.`; the other one is for groups of digits.",
    "dates": "CSV: `dmy` for 31/12/2024, `mdy` for 12/31/2024.",
    "encoding": "CSV: such as `cp1252`; without it, UTF-8, or what its byte order mark says.",
    "map": "CSV: columns of other programs, as in `Betrag=amount,Datum=at`.",
    "wallet": "CSV: the wallet of every line, where the file has no column for it.",
}


def _lookups() -> dict[str, Any]:
    def found(id_: str, summary: str, answer: str, *parameters: dict[str, Any]) -> dict[str, Any]:
        return {"get": _operation(id_, summary, {200: ("It.", answer)}, READ, parameters=parameters)}

    return {
        "/lookup/user": found("findUser", "A user as people name one.", "User", USER, REGION),
        "/lookup/wallet": found(
            "findWallet", "A wallet as people name one, now or at the end of a time past.", "Wallet", WALLET, REGION, AT
        ),
        "/lookup/wallets": found(
            "findWallets", "The wallets of a user as people name one.", "WalletPage", USER, REGION, *PAGE
        ),
        "/lookup/transaction": found(
            "findTransaction",
            "A transaction by its id, and how much of it has been reversed.",
            "TransactionDetail",
            _in_query("id", {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}, "As in `1-17`.") | REQUIRED,
        ),
    }


def _operators() -> dict[str, Any]:
    return {
        "/ledger": {
            "get": _operation(
                "getLedger",
                "The ledger's id, and the settings that it keeps for all who use it.",
                {200: ("The ledger.", "Ledger")},
                (400, 401, 405, 500, 503),
            ),
            "post": _operation(
                "setLedger",
                "Change the settings that are given; what has happened stays as it was. For operators.",
                {200: ("The ledger as it is now.", "Ledger")},
                IMPORT,
                bodies.NewLedgerSettings,
            ),
        },
        "/keys": {
            "get": _operation("listKeys", "All operator keys. For operators.", {200: ("Keys.", "KeyList")}, GOVERN),
            "post": _operation(
                "createKey",
                "Make an operator key, which is shown this once. For operators.",
                {201: ("Made.", "NewKeyAnswer")},
                WRITE,
                bodies.NewKey,
            ),
        },
        "/keys/revoke": {
            "post": _operation(
                "revokeKey",
                "Refuse an operator key from now on. For operators.",
                {200: ("Revoked.", "KeyAnswer")},
                WRITE,
                bodies.OneKey,
            )
        },
        "/verify": {
            "get": _operation(
                "verify",
                "Work out every total, sequence number and hash again, of one wallet or of all; 503 names the first bad"
                " row. For operators.",
                {200: ("All is well.", "Verified")},
                GOVERN,
                parameters=(_in_query("wallet", TEXT, "One wallet alone, as people name it."), REGION),
            )
        },
        "/import/part": {
            "post": _operation(
                "importPart",
                "Lines of a file that somebody reads elsewhere, as `wallet import` does remotely: a line that says"
                " what goes with them, then they, as JSON. For operators.",
                {200: ("What became of them.", "PartAnswer")},
                IMPORT,
                {parts.PART_TYPE: PART_EXAMPLE},
            )
        },
    }


def paths() -> dict[str, Any]:
    """The operations, by path and method."""
    subjects = _users() | _wallets() | _transactions() | _holds() | _files() | _lookups() | _operators()
    return {API + path: methods for path, methods in subjects.items()}


def document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    _, components = msgspec.json.schema_components(bodies.REQUESTS, ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wallet",
            "version": __version__,
            "description": "Stored value: users, wallets, credits and debits. Amounts are strings in answers.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths(),
        "components": {
            "schemas": components | ANSWERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An operator key (`wallet key create NAME`) or a user token (`wallet token USER`).",
                }
            },
        },
    }


@lru_cache(maxsize=1)
def openapi_json() -> bytes:
    return msgspec.json.format(msgspec.json.encode(document()), indent=2)

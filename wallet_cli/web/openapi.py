"""The OpenAPI 3.1 document, made from the same types that read the requests, with every error."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from wallet_cli import __version__
from wallet_cli.web import bodies

API = "/api/v1"
REF = "#/components/schemas/{name}"

TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
BOOLEAN = {"type": "boolean"}
MONEY = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "Decimal, the currency's digits."}
TIME = {"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.000000Z"]}
TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
COUNT = {"type": "integer", "minimum": 0}


def _object(**fields: Any) -> dict[str, Any]:
    """An object with these fields and no other; a name that ends in `_` may be missing."""
    required = [name for name in fields if not name.endswith("_")]
    fields = {name.rstrip("_"): schema for name, schema in fields.items()}
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


ANSWERS: dict[str, Any] = {
    "User": _object(id=ID, phone_number=TEXT, phone_e164=TEXT, name=TEXT_OR_NULL, created_at=TIME),
    "Wallet": _object(
        id=ID,
        user_id=ID,
        type=TEXT,
        currency=TEXT,
        status={"enum": ["active", "frozen", "closed"]},
        balance=MONEY,
        held=MONEY,
        available=MONEY,
        minimum_balance=MONEY,
        transactions=COUNT,
        created_at=TIME,
    ),
    "Transaction": _object(
        id={"type": "string", "pattern": "^[0-9]+-[0-9]+$", "examples": ["1-17"]},
        wallet_id=ID,
        seq=ID,
        kind={"enum": ["credit", "debit"]},
        is_credit=BOOLEAN,
        amount=MONEY,
        balance=MONEY,
        currency=TEXT,
        at=TIME,
        note=TEXT_OR_NULL,
        key=TEXT_OR_NULL,
        replayed_={"const": True},
    ),
    "TransactionList": _object(
        transactions={"type": "array", "items": {"$ref": REF.format(name="Transaction")}}, next_cursor=TEXT_OR_NULL
    ),
    "Total": _object(
        wallet_id=ID,
        currency=TEXT,
        **{"from": TIME_OR_NULL, "to": TIME_OR_NULL},
        opening_balance=MONEY,
        credit_total=MONEY,
        debit_total=MONEY,
        credit_count=COUNT,
        debit_count=COUNT,
        net=MONEY,
        closing_balance=MONEY,
    ),
    "Token": _object(token=TEXT, token_type={"const": "Bearer"}, user_id=ID),
    "WalletList": {"type": "array", "items": {"$ref": REF.format(name="Wallet")}},
    "Failure": _object(
        message=TEXT,
        data={"type": "null"},
        code={"type": "string", "examples": ["insufficient_funds"]},
        details={"type": "object"},
        retryable=BOOLEAN,
        hint=TEXT_OR_NULL,
    ),
    "BatchAnswer": _object(
        applied=COUNT,
        replayed=COUNT,
        refused=COUNT,
        results={
            "type": "array",
            "items": {
                "oneOf": [
                    _object(status={"enum": [200, 201]}, data={"$ref": REF.format(name="Transaction")}),
                    {
                        "type": "object",
                        "properties": {"status": {"type": "integer", "minimum": 400}},
                        "required": ["status", "code", "message", "details", "retryable"],
                    },
                ]
            },
        },
    ),
}

ERRORS = {
    400: "`invalid_input`: a field, the path or the query is not as described.",
    401: "`unauthenticated`: no key or token, or one that is not valid.",
    403: "`forbidden`: this caller may not do that.",
    404: "`user_not_found`, `wallet_not_found`: it is not there, or not this caller's.",
    405: "`method_not_allowed`: another method; `Allow` names it.",
    408: "`request_timeout`: the body took too long.",
    409: (
        "`insufficient_funds` (details: `balance, available, minimum_balance, shortfall`), `wallet_not_active`,"
        " `balance_overflow`, `user_exists`, `wallet_exists`, `key_reused` or `time_conflict`: nothing changed."
    ),
    413: "`too_large`: the body has more bytes than allowed.",
    415: "`unsupported_media_type`: the body is not application/json.",
    500: "`internal_error`: a fault of the server; safe to send again with the same key.",
    503: "`busy` or `storage_error`: send again with the same key, after `Retry-After` seconds.",
}

USER_ID = {"name": "user_id", "in": "path", "required": True, "schema": ID}
WALLET_ID = {"name": "wallet_id", "in": "path", "required": True, "schema": ID}
TYPE = {
    "name": "type",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": r"^[a-zA-Z0-9_.\-]{1,32}$"},
    "example": "type1",
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]([ -~]*[!-~])?$"},
    "description": "Makes it safe to send again: the first answer is given again (200), nothing is applied twice.",
}
LIMIT = {
    "name": "limit",
    "in": "query",
    "required": False,
    "allowEmptyValue": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20},
}
CURSOR = {
    "name": "cursor",
    "in": "query",
    "required": False,
    "allowEmptyValue": True,
    "schema": {"type": "string", "pattern": "^([0-9]+-[0-9]+)?$"},
    "description": "The `next_cursor` of the page before.",
}

READ = (400, 401, 404, 405, 500, 503)
WRITE = (400, 401, 403, 404, 405, 408, 409, 413, 415, 500, 503)
QUERY = (400, 401, 404, 405, 408, 413, 415, 500, 503)


def _operation(
    id_: str,
    summary: str,
    answers: dict[int, tuple[str, str]],
    errors: tuple[int, ...],
    body: type | None = None,
    parameters: tuple[Any, ...] = (),
) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": id_, "summary": summary, "responses": {}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        schema = {"$ref": REF.format(name=body.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    for status, (description, name) in answers.items():
        envelope = _object(message=TEXT, data={"$ref": REF.format(name=name)})
        found["responses"][str(status)] = _response(description, envelope)
    for status in errors:
        found["responses"][str(status)] = _response(ERRORS[status], {"$ref": REF.format(name="Failure")})
    return found


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def paths() -> dict[str, Any]:
    """The operations, by path and method."""
    return {
        f"{API}/users": {
            "post": _operation("createUser", "Register a user.", {201: ("Registered.", "User")}, WRITE, bodies.NewUser)
        },
        f"{API}/wallet/create": {
            "post": _operation("createWallet", "Open a wallet.", {201: ("Opened.", "Wallet")}, WRITE, bodies.NewWallet)
        },
        f"{API}/wallet/get/{{user_id}}": {
            "get": _operation(
                "getWallets",
                "The wallets of a user.",
                {200: ("Wallets.", "WalletList")},
                READ,
                parameters=(USER_ID,),
            )
        },
        f"{API}/wallet/get/{{user_id}}/{{type}}": {
            "get": _operation(
                "getWallet",
                "A wallet, with its balance.",
                {200: ("The wallet.", "Wallet")},
                READ,
                parameters=(USER_ID, TYPE),
            )
        },
        f"{API}/transactions/create": {
            "post": _operation(
                "createTransaction",
                "Credit or debit a wallet; durable when answered.",
                {201: ("Created.", "Transaction"), 200: ("Created before, with this key.", "Transaction")},
                WRITE,
                bodies.NewTransaction,
                (KEY,),
            )
        },
        f"{API}/transactions/batch": {
            "post": _operation(
                "createTransactions",
                "Up to 10,000 transactions: a result an item, in order; or all or none, with `atomic`.",
                {200: ("Results.", "BatchAnswer")},
                WRITE,
                bodies.Batch,
            )
        },
        f"{API}/transactions/get/{{user_id}}/{{wallet_id}}": {
            "get": _operation(
                "listTransactions",
                "Transactions, the newest first.",
                {200: ("A page.", "TransactionList")},
                READ,
                parameters=(USER_ID, WALLET_ID, LIMIT, CURSOR),
            )
        },
        f"{API}/transactions/get/total_in_period": {
            "post": _operation(
                "totalInPeriod",
                "Credits and debits over a period.",
                {200: ("The total.", "Total")},
                QUERY,
                bodies.TotalQuery,
            )
        },
        f"{API}/tokens": {
            "post": _operation(
                "createToken", "A token for a user.", {201: ("Issued.", "Token")}, WRITE, bodies.TokenRequest
            )
        },
    }


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

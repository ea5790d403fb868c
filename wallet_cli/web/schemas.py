"""What is answered, in the words of JSON Schema; bodies.py says the same of what is asked."""

from __future__ import annotations

from typing import Any

from wallet_cli.services import statements

REF = "#/components/schemas/{name}"

TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
BOOLEAN = {"type": "boolean"}
MONEY_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
MONEY = {"type": "string", "pattern": MONEY_PATTERN, "description": "Decimal, the currency's digits."}
MONEY_OR_NULL = {"type": ["string", "null"], "pattern": MONEY_PATTERN, "description": "As money; null for none."}
TIME = {"type": "string", "format": "date-time", "examples": ["2026-11-22T10:00:00.000000Z"]}
TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
COUNT = {"type": "integer", "minimum": 0}
TRANSACTION_ID = {"type": "string", "pattern": "^[0-9]+-[0-9]+$", "examples": ["1-17"]}
HOLD_ID = {"type": "string", "pattern": "^[0-9]+-h[0-9]+$", "examples": ["1-h3"]}
WALLET = {"type": "string", "description": "USER/TYPE, which names it.", "examples": ["2/main"]}
REPLAYED = {"const": True, "description": "The key had been used for the same request before."}


def ref(name: str) -> dict[str, Any]:
    """Another of the schemas."""
    return {"$ref": REF.format(name=name)}


def list_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def object_of(**fields: Any) -> dict[str, Any]:
    """An object with these fields and no other; a name that ends in `_` may be missing."""
    required = [name for name in fields if not name.endswith("_")]
    fields = {name.rstrip("_"): schema for name, schema in fields.items()}
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def page_of(**things: Any) -> dict[str, Any]:
    """A page of a list."""
    count = {
        "type": ["integer", "null"],
        "description": "With `count=true`: of the whole list; null where filters choose from it.",
    }
    return object_of(**things, next_cursor=TEXT_OR_NULL, count_=count)


TRANSACTION_FIELDS: dict[str, Any] = {
    "id": TRANSACTION_ID,
    "wallet_id": ID,
    "seq": ID,
    "kind": {"enum": ["credit", "debit"]},
    "is_credit": BOOLEAN,
    "amount": MONEY,
    "balance": MONEY,
    "currency": TEXT,
    "at": TIME,
    "note": TEXT_OR_NULL,
    "key": TEXT_OR_NULL,
    "meta_": {"type": "object", "description": "The metadata that it was made with."},
    "transfer_": TRANSACTION_ID | {"description": "The other one of a transfer."},
    "reverses_": TRANSACTION_ID | {"description": "What it takes back, in part or whole."},
    "hold_": HOLD_ID | {"description": "The hold that it captures, in part or whole."},
    "forced_": {"const": True, "description": "An operator had it pass floors and limits."},
    "user_key_": {"const": True, "description": "The key is one of the user's own, apart from those of operators."},
}

KEY_FIELDS: dict[str, Any] = {
    "name": TEXT,
    "read_only": BOOLEAN,
    "created_at": TIME,
    "last_used_at": TIME_OR_NULL,
    "revoked_at": TIME_OR_NULL,
}

ANSWERS: dict[str, Any] = {
    "User": object_of(
        id=ID, phone_number=TEXT, phone_e164=TEXT, name=TEXT_OR_NULL, created_at=TIME, replayed_=REPLAYED
    ),
    "Ledger": object_of(
        id=TEXT | {"format": "uuid"},
        schema={"type": "integer", "minimum": 1},
        currency=TEXT_OR_NULL | {"description": "Of a wallet for which none is given; null: the program's default."},
        phone_region=TEXT_OR_NULL | {"description": "Of numbers with no `+`."},
        minimum_balance=MONEY_OR_NULL | {"description": "No debit goes below it, unless the wallet has its own."},
        timezone=TEXT_OR_NULL | {"description": "Whose days its days are, an IANA name; null: UTC."},
    ),
    "UserPage": page_of(users=list_of(ref("User"))),
    "Wallet": object_of(
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
        maximum_balance=MONEY_OR_NULL,
        daily_debit=MONEY_OR_NULL,
        wallet=WALLET,
        at_=TIME | {"description": "The moment that it was asked for, where it was."},
        replayed_=REPLAYED,
    ),
    "WalletList": list_of(ref("Wallet")),
    "WalletPage": page_of(wallets=list_of(ref("Wallet"))),
    "Transaction": object_of(**TRANSACTION_FIELDS, replayed_=REPLAYED),
    "TransactionDetail": object_of(
        **TRANSACTION_FIELDS,
        reversed=MONEY | {"description": "How much of it has been taken back."},
        reversals=list_of(TRANSACTION_ID) | {"description": "By which transactions."},
    ),
    "TransactionList": page_of(transactions=list_of(ref("Transaction"))),
    "Transfer": object_of(id=TRANSACTION_ID, debit=ref("Transaction"), credit=ref("Transaction"), replayed_=REPLAYED),
    "Hold": object_of(
        id=HOLD_ID,
        wallet_id=ID,
        status={"enum": ["open", "captured", "voided", "expired"]},
        amount=MONEY,
        captured=MONEY,
        held=MONEY | {"description": "What it still keeps from being spent."},
        currency=TEXT,
        created_at=TIME,
        expires_at=TIME,
        ended_at=TIME_OR_NULL,
        note=TEXT_OR_NULL,
        key=TEXT_OR_NULL,
        replayed_=REPLAYED,
    ),
    "HoldList": page_of(holds=list_of(ref("Hold"))),
    "Total": object_of(
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
        wallet=WALLET,
    ),
    "Statement": object_of(
        wallet_id=ID,
        user_id=ID,
        type=TEXT,
        currency=TEXT,
        phone_e164=TEXT,
        name=TEXT_OR_NULL,
        **{"from": TIME_OR_NULL, "to": TIME_OR_NULL},
        opening_balance=MONEY,
        closing_balance=MONEY,
        credit_total=MONEY,
        debit_total=MONEY,
        credit_count=COUNT,
        debit_count=COUNT,
        net=MONEY,
        wallet=WALLET,
        totals=list_of(object_of(kind={"enum": list(statements.KINDS)}, count=ID, amount=MONEY))
        | {"description": "Of each kind that occurs."},
        transactions=list_of(ref("Transaction")) | {"description": "The oldest first."},
    ),
    "ImportAnswer": object_of(
        applied=COUNT | {"description": "Transactions and holds."},
        replayed=COUNT | {"description": "Those that had been applied before."},
        refused=COUNT | {"description": "Lines."},
        users_created=COUNT,
        wallets_created=COUNT,
        skipped_=COUNT | {"description": "Lines that were there already, with `duplicates=skip`."},
        dry_run_={"const": True, "description": "Nothing was changed."},
        rejects=list_of(
            object_of(
                line=ID,
                code={"type": "string", "examples": ["insufficient_funds", "restore_conflict"]},
                message=TEXT,
                hint=TEXT_OR_NULL,
            )
        )
        | {"description": "Why lines were refused, the first 1,000 of them; `code` is one of those of the failures."},
    ),
    "Token": object_of(token=TEXT, token_type={"const": "Bearer"}, user_id=ID),
    "KeyList": list_of(ref("KeyAnswer")),
    "KeyAnswer": object_of(**KEY_FIELDS),
    "NewKeyAnswer": object_of(key=TEXT, **KEY_FIELDS),
    "Verified": object_of(ok=BOOLEAN, wallets=COUNT, transactions=COUNT),
    "PartAnswer": object_of(
        applied=COUNT,
        replayed=COUNT,
        refused=COUNT,
        users_created=COUNT,
        wallets_created=COUNT,
        broken=list_of(TEXT),
        found_=list_of({"type": "array", "items": {"type": ["integer", "string"]}})
        | {
            "description": "With `find`: the number of a line, how often that is there, and what it is; or what earlier"
            " imports applied to its wallet: their digest, what, and how often."
        },
        rejects=list_of(
            object_of(
                line=ID, code=TEXT, message=TEXT, hint=TEXT_OR_NULL, retryable=BOOLEAN, details={"type": "object"}
            )
        ),
    ),
    "Failure": object_of(
        message=TEXT,
        data={"type": "null"},
        code={"type": "string", "examples": ["insufficient_funds"]},
        details={"type": "object"},
        retryable=BOOLEAN,
        hint=TEXT_OR_NULL,
    ),
    "BatchAnswer": object_of(
        applied=COUNT,
        replayed=COUNT,
        refused=COUNT,
        results=list_of(
            {
                "oneOf": [
                    object_of(status={"enum": [200, 201]}, data=ref("Transaction")),
                    {
                        "type": "object",
                        "properties": {"status": {"type": "integer", "minimum": 400}},
                        "required": ["status", "code", "message", "details", "retryable"],
                    },
                ]
            }
        ),
    ),
}

ERRORS = {
    400: "`invalid_input`: a field, the path or the query is not as described.",
    401: "`unauthenticated`: no key or token, or one that is not valid.",
    403: "`forbidden`: this caller may not do that.",
    404: (
        "`user_not_found`, `wallet_not_found`, `transaction_not_found`, `hold_not_found`: it is not there, or not this"
        " caller's."
    ),
    405: "`method_not_allowed`: another method; `Allow` names those that there are.",
    408: "`request_timeout`: the body took too long.",
    409: (
        "`insufficient_funds` (details: `balance, available, minimum_balance, shortfall`), `limit_exceeded` (details:"
        " `limit, available, shortfall`), `wallet_not_active`, `wallet_not_empty`, `balance_overflow`, `hold_not_open`"
        " (details: `status`), `capture_exceeds_hold`, `not_reversible`, `reversal_exceeds_original`, `user_exists`,"
        " `wallet_exists`, `key_reused` or `time_conflict`: nothing changed."
    ),
    413: "`too_large`: the body has more bytes than allowed.",
    415: "`unsupported_media_type`: the body is not of the type that is described, or not in UTF-8.",
    500: "`internal_error`: a fault of the server; safe to send again with the same key.",
    503: (
        "`busy` or `storage_error`: send again with the same key, after `Retry-After` seconds. `ledger_moved` (details:"
        " `state, since`, and where it went): the ledger takes no writes here."
    ),
}

"""Parameters of requests, in the path, the query and the headers, for OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from wallet_cli.domain.ids import MAX_NAME_CHARS, MAX_NOTE_CHARS
from wallet_cli.operations.pages import DEFAULT_LIMIT, MAX_LIMIT
from wallet_cli.operations.transactions import KINDS
from wallet_cli.operations.wallets import MAX_HOLDERS
from wallet_cli.web.requests import REGION_WORDS, TIMES
from wallet_cli.web.responses import MAX_ID

Parameter = dict[str, Any]

TEXT = {"type": "string"}
ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID, "examples": [1]}


def in_query(name: str, description: str, schema: dict[str, Any] = TEXT, *, required: bool = False) -> Parameter:
    """A parameter of the URL; an empty one counts as not given."""
    made = {"name": name, "in": "query", "required": required, "description": description, "schema": schema}
    return made if required else made | {"allowEmptyValue": True}


def one_of(words: Iterable[str], default: str | None = None) -> dict[str, Any]:
    """The schema of one of these words."""
    return {"type": "string", "enum": list(words)} | ({} if default is None else {"default": default})


def flag(name: str, description: str) -> Parameter:
    return in_query(name, description, {"type": "boolean", "default": False})


def cursor(pattern: str) -> Parameter:
    return in_query("cursor", "The `next_cursor` of the previous page.", {"type": "string", "pattern": pattern})


def in_path(path: str) -> list[Parameter]:
    """The parameters in a path."""
    return [
        {"name": name, "in": "path", "required": True, "description": PATH[name][0], "schema": PATH[name][1]}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


PATH: dict[str, tuple[str, dict[str, Any]]] = {
    "user_id": ("The user's id.", ID),
    "wallet_id": ("The wallet's id.", ID),
    "seq": ("The N of a transaction's id, `W-N`.", ID),
    "type": (
        "The wallet's type.",
        {"type": "string", "pattern": r"^[a-zA-Z0-9_.\-]{1,32}$", "examples": ["type1"]},
    ),
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]([ -~]*[!-~])?$"},
    "description": (
        "Makes it safe to send again: the first answer comes again (200), nothing is applied twice. The keys of"
        " users and of operators are separate."
    ),
}
LIMIT = in_query(
    "limit",
    "The most that a page has.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
COUNT = flag("count", "Include the length of the whole list.")
PAGE = (LIMIT, cursor("^([0-9]+)?$"), COUNT)
AMOUNT = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?)?$"}
PERIOD = (
    in_query("from", "From this time on: ISO 8601, or now, today, yesterday, `12h`, `7d`, `2w` ago."),
    in_query("to", "The same: up to the end of its unit (day, minute, …)."),
)
TRANSACTIONS = (
    LIMIT,
    cursor("^([0-9]+-[0-9]+)?$"),
    COUNT,
    *PERIOD,
    in_query("kind", "Only those of this kind.", one_of(KINDS)),
    in_query("min", "Amounts of at least this.", AMOUNT),
    in_query("max", "Amounts of at most this.", AMOUNT),
    in_query(
        "text", "Notes that contain this, in upper or lower case.", {"type": "string", "maxLength": MAX_NOTE_CHARS}
    ),
    in_query("key", "The transaction with this key.", {"type": "string", "maxLength": 255}),
)
USER = in_query("user", "A phone number, or a user id, as in `id:1`.", required=True)
WALLET = in_query("wallet", "USER or USER/TYPE, as in `9886977544/savings`.", required=True)
OF_WALLET = in_query("wallet", "Of this wallet: USER/TYPE, or `wN`.")
OF_USER = in_query("user", "Of this user and all their wallets: a phone number, or a user id, as in `id:1`.")
EVENTS = (LIMIT, cursor("^([luw][0-9]+-[0-9]+)?$"), COUNT)
ONE_WALLET = in_query("wallet", "One wallet, as USER or USER/TYPE.")
A_NAME = {"type": "string", "maxLength": MAX_NAME_CHARS, "examples": ["Asha"]}
NAME = in_query("name", "A name, its beginning, or a word of it.", A_NAME, required=True)
A_PART = {"type": "string", "maxLength": MAX_NOTE_CHARS, "examples": ["tea"]}
TEXT_TO_FIND = in_query("text", "What to find, in either case.", A_PART, required=True)
NAME_OR_NUMBER = in_query("text", "Users by a name or number with this in it; of a number, 3 digits or more.", A_PART)
REGION = in_query("region", REGION_WORDS)
ZONE_OF_TIMES = in_query(
    "times", "Where a time with no offset is: in UTC, or in the ledger's time zone.", one_of(TIMES, TIMES[0])
)
AT = in_query("at", "ISO 8601: the balance at the end of its unit (day, minute, …).")
HOLDERS = in_query(
    "wallets",
    f"Ids of wallets, at most {MAX_HOLDERS}, as in `1,2,7`.",
    {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$", "examples": ["1,2,7"]},
    required=True,
)
TRANSACTION = in_query(
    "id", "As in `1-17`.", {"type": "string", "pattern": "^[0-9]+-[0-9]+$", "examples": ["1-17"]}, required=True
)

"""Hints over HTTP: the endpoint, field or parameter in the place of each command and option.

Code writes a hint for the command line. A server rewrites it for its callers (`over_http`); the remote client turns it
back, as its reader types commands (`for_terminal`). An import does so for the line of a file (`in_a_file`).
"""

import re
from collections.abc import Iterable

FOR_OPERATORS = (
    ("wallet register PHONE", "POST /users"),
    ("wallet create WALLET", "POST /wallet/create"),
    ("wallet limits WALLET --minimum-balance 0", "POST /wallet/limits with minimum_balance: 0"),
    ("wallet limits WALLET --minimum-balance A", "POST /wallet/limits with minimum_balance"),
    ("wallet limits WALLET --maximum-balance none", "POST /wallet/limits with maximum_balance: none"),
    ("wallet limits WALLET --maximum-balance A", "POST /wallet/limits with maximum_balance"),
    ("wallet limits WALLET --daily-debit A", "POST /wallet/limits with daily_debit"),
    ("wallet tx reverse ID AMOUNT", "POST /transactions/reverse with amount"),
    ("wallet tx reverse ID --force", "POST /transactions/reverse with force: true"),
    ("wallet hold void ID", "POST /holds/void"),
    ("wallet unfreeze WALLET", "POST /wallet/unfreeze"),
    ("wallet credit WALLET AMOUNT", "POST /transactions/create with is_credit: true"),
    ("wallet key list", "GET /keys"),
    ("wallet list", "GET /wallets"),
    ("wallet verify", "GET /verify"),
    ("wallet ledger set timezone", "POST /ledger with timezone"),
    ("wallet ledger set currency", "POST /ledger with currency"),
)
"""What only operators may do: what a hint says on the command line, and over HTTP."""

PAIRS = (
    *FOR_OPERATORS,
    ("wallet tx list WALLET", "GET /transactions/get/{user_id}/{wallet_id}"),
    ("wallet tx show ID", "GET /lookup/transaction?id=ID"),
    ("wallet hold list WALLET", "GET /holds/get/{user_id}/{wallet_id}"),
    ("wallet debit WALLET AMOUNT", "POST /transactions/create with is_credit: false"),
    ("--exist-ok accepts the existing user", "GET /lookup/user finds the existing user"),
    ("--exist-ok accepts an existing wallet in the same currency", "GET /wallet/get/{user_id}/{type} shows that one"),
    ("into a new ledger: wallet --db NEW import FILE", "into the new ledger of another server"),
    ("put the date in the note; in an import, do not map the date column", "put its date in the note"),
    ("use that ledger with --db or WALLET_DB", "ask at the server of that ledger"),
    ("finish it with `wallet move --to …`, or cancel it with `wallet move --cancel`", "wait until the move has ended"),
    ("WALLET_LOCK_TIMEOUT sets how long to wait", "the server's settings say how long it waits"),
    ("--by month, or --from and --to", "by=month, or from and to"),
    ("give --from and --to", "give from and to"),
    ("as --minimum-balance", "as minimum_balance"),
    ("as --min and the larger one as --max", "as min and the larger one as max"),
    ("--at takes", "`at` takes"),
    ("leave --at out", "leave `at` out"),
)
"""What a hint says on the command line, and over HTTP."""

IN_A_FILE = (
    ("--exist-ok accepts the existing user", "leave the line out, or write the name that the user has"),
    (
        "--exist-ok accepts an existing wallet in the same currency",
        "leave the line out, or write the currency that the wallet has",
    ),
    ("as --minimum-balance", "as minimum_balance"),
    ("--at takes", "at takes"),
)
"""What a hint says on the command line, and for a line of a file, which has fields in the place of options."""

FOR_KEEPER = "only whoever runs the server can mend this"
"""For what only commands on the server's machine can do."""

_TYPED = re.compile(r"(?<![\w-])--[a-z]|WALLET_[A-Z]|`wallet |: wallet [a-z]")
"""A command, an option or a variable."""

_TYPED_WALLET = re.compile(r"wallet create id:(\d+)/(\S+)")
_SENT_WALLET = re.compile(r"POST /wallet/create with user_id (\d+) and type (\S+)")


_PART = re.compile(r"(?:^|; |, or )(?:(?!; |, or ).)*")
"""One of several things to do, with what joins it to those before."""


def over_http(hint: str | None) -> str | None:
    """A hint for an operator over HTTP."""
    if hint is None:
        return None
    hint = replaced(_TYPED_WALLET.sub(r"POST /wallet/create with user_id \1 and type \2", hint), PAIRS)
    return FOR_KEEPER if _TYPED.search(hint) else hint


def for_user(hint: str | None) -> str | None:
    """A hint for a user over HTTP: without the parts that only an operator can follow; None if nothing is left."""
    parts = _PART.findall(over_http(hint) or "")
    kept = "".join(part for part in parts if not any(sent in part for _, sent in FOR_OPERATORS))
    return re.sub("^(; |, or )", "", kept) or None


def for_terminal(hint: str | None) -> str | None:
    """A server's hint for somebody who types commands."""
    if hint is None:
        return None
    return replaced(_SENT_WALLET.sub(r"wallet create id:\1/\2", hint), ((sent, typed) for typed, sent in PAIRS))


def in_a_file(hint: str | None) -> str | None:
    """A hint for a line of a file that is imported."""
    return None if hint is None else replaced(hint, IN_A_FILE)


def replaced(hint: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A hint with the second of each pair in the place of the first."""
    for typed, told in pairs:
        hint = hint.replace(typed, told)
    return hint

"""Hints over HTTP: the endpoint, field or parameter in the place of each command and option.

Code writes a hint for the command line. A server rewrites it for its callers (`over_http`); the remote client turns it
back, as its reader types commands (`for_terminal`).
"""

import re

PAIRS = (
    ("wallet register PHONE", "POST /users"),
    ("wallet create WALLET", "POST /wallet/create"),
    ("wallet limits WALLET --maximum-balance A", "POST /wallet/limits with maximum_balance"),
    ("wallet limits WALLET --daily-debit A", "POST /wallet/limits with daily_debit"),
    ("wallet tx list WALLET", "GET /transactions/get/{user_id}/{wallet_id}"),
    ("wallet tx show ID", "GET /lookup/transaction?id=ID"),
    ("wallet hold list WALLET", "GET /holds/get/{user_id}/{wallet_id}"),
    ("wallet key list", "GET /keys"),
    ("wallet list", "GET /wallets"),
    ("wallet verify", "GET /verify"),
    ("wallet ledger set timezone", "POST /ledger with timezone"),
    ("--exist-ok accepts the existing user", "GET /lookup/user finds the existing user"),
    ("--exist-ok accepts an existing wallet", "GET /lookup/wallets finds an existing wallet"),
    ("use --debit", "use is_credit: false"),
    ("as --minimum-balance", "as minimum_balance"),
    ("as --from", "as from"),
    ("--at takes", "at takes"),
)
"""What a hint says on the command line, and over HTTP."""

_TYPED_WALLET = re.compile(r"wallet create id:(\d+)/(\S+)")
_SENT_WALLET = re.compile(r"POST /wallet/create with user_id (\d+) and type (\S+)")


def over_http(hint: str | None) -> str | None:
    """A hint for a caller over HTTP."""
    if hint is None:
        return None
    hint = _TYPED_WALLET.sub(r"POST /wallet/create with user_id \1 and type \2", hint)
    for typed, sent in PAIRS:
        hint = hint.replace(typed, sent)
    return hint


def for_terminal(hint: str | None) -> str | None:
    """A server's hint for somebody who types commands."""
    if hint is None:
        return None
    hint = _SENT_WALLET.sub(r"wallet create id:\1/\2", hint)
    for typed, sent in PAIRS:
        hint = hint.replace(sent, typed)
    return hint

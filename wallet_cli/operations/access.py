"""A token for a user, given by the ledger's keeper. The signing library is imported only when needed."""

from __future__ import annotations

from collections.abc import Callable

from wallet_cli.domain.ids import UserName
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.operations.users import find_user


def issue(ledger: Ledger, name: UserName, expires_minutes: int | None, notify: Callable[[str], None]) -> Answer:
    """A token with which a user may read their wallets and take money out of them: `token, token_type, user_id`.

    `notify` gets a warning about a weak secret that is accepted. Raises UserNotFound, MissingPackage, or InvalidInput
    for a wrong secret or time.
    """
    try:
        from wallet_cli.operations.tokens import open_tokens
    except ImportError as error:
        from wallet_cli.installing import missing

        raise missing("tokens need", error, "serve") from None
    tokens, warning = open_tokens(ledger.settings)
    if warning:
        notify(f"warning: {warning}")
    known = find_user(ledger, name)
    token = tokens.issue(ledger.store.ledger_id(), known.id, expires_minutes)
    return {"token": token, "token_type": "Bearer", "user_id": known.id}

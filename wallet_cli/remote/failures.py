"""From a server's answer to the errors of this program: the same classes, and so the same exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wallet_cli import errors
from wallet_cli.errors import (
    Busy,
    Forbidden,
    InvalidInput,
    Mention,
    NotFound,
    Refused,
    StorageError,
    Unauthenticated,
    WalletError,
)
from wallet_cli.hints import for_terminal

TOKEN_HINT = "set WALLET_TOKEN to an operator key or a user token, or WALLET_TOKEN_FILE to a file with it"  # noqa: S105


def _tree(root: type[WalletError]) -> Iterator[type[WalletError]]:
    for each in root.__subclasses__():
        yield each
        yield from _tree(each)


def _by_code() -> dict[str, type[WalletError]]:
    """The class of each code; if two have the same code, the one nearer to the root."""
    found: dict[str, type[WalletError]] = {}
    for each in _tree(WalletError):
        if each.__module__ == errors.__name__ and "code" in each.__dict__:
            found.setdefault(each.code, each)
    return found | {
        # Codes that only HTTP has.
        "too_large": InvalidInput,
        "request_timeout": InvalidInput,
        "rate_limited": Busy,
    }


ABOUT_TOKENS = {Unauthenticated.code, "rate_limited"}

OTHER_VERSION = {"not_found", "method_not_allowed", "unsupported_media_type"}
"""This program's requests get these codes only if the server does not know them."""

UNKNOWN_PARAMETER = "unknown parameter in the URL"
"""Said before anything is done, of what only newer servers know."""

BY_STATUS: dict[int, type[WalletError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Refused,
}
"""For codes that this program does not know yet."""


def is_failure(answer: dict[str, Any]) -> bool:
    return isinstance(answer.get("code"), str) and isinstance(answer.get("message"), str)


def error_of(status: int, answer: dict[str, Any], url: str, mentions: str = "[]") -> WalletError:
    """The error in the envelope of a failure; `mentions` is its header Wallet-Mentions."""
    code, message, hint, details = (answer.get(name) for name in ("code", "message", "hint", "details"))
    assert isinstance(code, str)
    assert isinstance(message, str)
    if code in OTHER_VERSION or message == UNKNOWN_PARAMETER:
        return other_version(url)
    hint = hint if isinstance(hint, str) else None
    known = _by_code().get(code)
    if known is None:
        base = BY_STATUS.get(status, StorageError)
        known = type("UnknownError", (base,), {"code": code})
    error = known(message, hint=TOKEN_HINT if code in ABOUT_TOKENS else for_terminal(hint))
    error.details = details if isinstance(details, dict) else {}
    if answer.get("retryable") is False:
        error.retryable = False
    error.parts = _parts(message, mentions)
    return error


def _parts(message: str, mentions: str) -> tuple[str | Mention, ...]:
    """The message, with the wallets at the positions that the server gives (see web/messages.py).

    Without them if the positions are wrong: they only concern the names of the wallets.
    """
    parts: list[str | Mention] = []
    end = 0
    try:
        for each in json.loads(mentions):
            id_, name, at = int(each["id"]), str(each["wallet"]), int(each["at"])
            if at < end or not message.startswith(name, at):
                return (message,)
            parts += [message[end:at], Mention(id_, name)]
            end = at + len(name)
    except (ValueError, TypeError, KeyError, RecursionError):
        return (message,)
    return (*parts, message[end:])


def other_version(url: str) -> StorageError:
    return StorageError(
        f"the server at {url} does not know this request: it has another version",
        hint="compare with wallet --version, and upgrade the older one",
    )


def not_a_server(status: int, url: str) -> StorageError:
    return StorageError(
        f"the server at {url} is not `wallet serve`: HTTP status {status}, and not its kind of answer",
        hint="check WALLET_DB, and that both have the same version; or a proxy in between answers in its place",
    )

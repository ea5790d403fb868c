"""From what a server answers to the errors of this program: the same classes, and so the same exit codes."""

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
    """The class of each code: where two have one, the one nearer to the root."""
    found: dict[str, type[WalletError]] = {}
    for each in _tree(WalletError):
        if each.__module__ == errors.__name__ and "code" in each.__dict__:
            found.setdefault(each.code, each)
    return found | {
        # What only HTTP has.
        "too_large": InvalidInput,
        "request_timeout": Busy,
    }


OTHER_VERSION = {"not_found", "method_not_allowed", "unsupported_media_type"}
"""Nothing that this program asks for is answered so, unless the server does not know it."""

BY_STATUS: dict[int, type[WalletError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Refused,
}
"""For codes that this program does not know yet."""


def error_of(status: int, answer: dict[str, Any], url: str, mentions: str = "[]") -> WalletError:
    """The error that the envelope of a failure tells of; `mentions` is what its header Wallet-Mentions says."""
    code, message, hint, details = (answer.get(name) for name in ("code", "message", "hint", "details"))
    if not isinstance(code, str) or not isinstance(message, str):
        return not_a_server(status, url)
    if code in OTHER_VERSION:
        return other_version(url)
    hint = hint if isinstance(hint, str) else None
    known = _by_code().get(code)
    if known is None:
        base = BY_STATUS.get(status, StorageError)
        known = type("UnknownError", (base,), {"code": code})
    error = known(message, hint=TOKEN_HINT if known is Unauthenticated else for_terminal(hint))
    error.details = details if isinstance(details, dict) else {}
    error.parts = _parts(message, mentions)
    return error


def _parts(message: str, mentions: str) -> tuple[str | Mention, ...]:
    """The message, with the wallets that it speaks of where the server says that they stand (see web/messages.py).

    Without them where that is not so: it is only about what they are called.
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
        f"the server at {url} does not know what it is asked: it is of another version",
        hint="wallet --version says which one this is; upgrade the older one",
    )


def not_a_server(status: int, url: str) -> StorageError:
    return StorageError(
        f"what answers at {url} is not `wallet serve`: HTTP status {status}, and no answer of its form",
        hint="check WALLET_DB; or what stands between, such as a proxy, answers in its place",
    )

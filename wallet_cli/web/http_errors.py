"""Errors that only HTTP has; the rest of the tree is in wallet_cli/errors.py.

::

    WalletError
    └── RequestError
        ├── NoSuchRoute           not_found                404
        ├── MethodNotAllowed      method_not_allowed       405
        ├── TooSlow               request_timeout          408
        ├── BodyTooLarge          too_large                413
        ├── RateLimited           rate_limited             429    retryable
        └── UnsupportedMediaType  unsupported_media_type   415
"""

from __future__ import annotations

import copy

from wallet_cli.errors import LOOK_FIRST, Busy, LedgerMoved, MissingPackage, StorageError, UnknownOutcome, WalletError
from wallet_cli.hints import for_user, over_http


class RequestError(WalletError):
    exit_code = 2


class NoSuchRoute(RequestError):
    code = "not_found"
    http_status = 404


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    http_status = 405


class TooSlow(RequestError):
    code = "request_timeout"
    http_status = 408


class BodyTooLarge(RequestError):
    code = "too_large"
    http_status = 413


class RateLimited(RequestError):
    """Too many wrong keys and tokens came from the address. `retry_after_s` is in whole seconds."""

    code = "rate_limited"
    http_status = 429
    retryable = True


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"
    http_status = 415


FOR_STRANGERS: tuple[tuple[type[WalletError], str], ...] = (
    (MissingPackage, "this server does not have a package that this needs"),
    (Busy, "the server is busy"),
    (LedgerMoved, "this ledger takes no writes here"),
    (StorageError, "the ledger cannot be read or written now; the outcome of a write may be unknown"),
)
"""For operators these errors name paths, addresses and processes of the server's machine; of Busy, only those with
details.
"""

FOR_ALL = ("outcome",)
"""Details that name nothing of it."""


def for_strangers(error: WalletError) -> WalletError:
    """An error for callers without an operator key; how to try again is the same."""
    for kind, words in FOR_STRANGERS:
        if isinstance(error, kind) and (error.details.keys() - FOR_ALL or kind is not Busy):
            told = copy.copy(error)
            told.parts = (words,)
            told.details = {name: told.details[name] for name in FOR_ALL if name in told.details}
            unknown = LOOK_FIRST if isinstance(error, UnknownOutcome) else None
            told.hint = "try again, with the same key" if error.retryable else unknown
            return told
    return error


def for_users(error: WalletError) -> WalletError:
    """The same, with a hint that a user can follow."""
    told = for_strangers(error)
    hint = for_user(told.hint)
    if hint != over_http(told.hint):
        told = copy.copy(told)
        told.hint = hint
    return told

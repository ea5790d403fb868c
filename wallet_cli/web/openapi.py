"""The OpenAPI 3.1 document, made from the declarations of the endpoints (operations.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from types import GenericAlias
from typing import Any

import msgspec

from wallet_cli import __version__, errors
from wallet_cli.web import http_errors
from wallet_cli.web.auth import Caller
from wallet_cli.web.operations import OPERATIONS, TAGS, File, Operation, Refusal
from wallet_cli.web.parameters import KEY, in_path
from wallet_cli.web.responses import example as example_of
from wallet_cli.web.responses import ref, reply, schemas

API = "/api/v1"

Json = dict[str, Any]

ABOUT = """\
Stored value: users, wallets, credits and debits. Amounts are strings in answers, and may be numbers or strings in\
 requests. Fields may be added to answers; none is renamed or removed.

A path answers 405, `method_not_allowed`, to another method, with the allowed ones in `Allow`, and an unknown path\
 404, `not_found`. A server that was started with `--no-auth` answers 403, `forbidden`, to web pages in a browser."""

WHO: dict[Callable[[Caller], None], str] = {
    Caller.may_call: "For operators; for users, only their own data.",
    Caller.must_write: "For operators with a key that may write; for users, only their own data.",
    Caller.must_be_operator: "For operators.",
    Caller.must_be_writing_operator: "For operators with a key that may write.",
}

WORDS: dict[Refusal, str] = {
    errors.InvalidInput: "a field, the path or the query is not as described",
    errors.Unauthenticated: "no key or token, or one that is not valid",
    errors.Forbidden: "this caller may not do that",
    errors.UserNotFound: "there is no such user, or it is not this caller's",
    errors.WalletNotFound: "there is no such wallet, or it is not this caller's",
    errors.TransactionNotFound: "there is no such transaction, or it is not this caller's",
    errors.HoldNotFound: "there is no such hold",
    errors.KeyNotFound: "there is no operator key with that name",
    http_errors.MethodNotAllowed: "another method; `Allow` has the allowed ones",
    http_errors.NoSuchRoute: "there is nothing at this path",
    http_errors.TooSlow: "the body took too long",
    errors.InsufficientFunds: (
        "less is available (details: `balance`, `available`, `minimum_balance`, `shortfall`, and `held`)"
    ),
    errors.WalletNotActive: "the wallet is frozen or closed (details: `status`)",
    errors.WalletNotEmpty: "the wallet has a balance or holds (details: `balance`, `held`)",
    errors.BalanceOverflow: "the totals of the wallet would exceed the maximum (details: `most`)",
    errors.LimitExceeded: "it would exceed a limit of the wallet (details: `limit`, `available`, `shortfall`)",
    errors.HoldNotOpen: "the hold has ended (details: `status`, `ended_at`)",
    errors.CaptureExceedsHold: "the hold keeps less (details: `amount`, `captured`, `available`, `shortfall`)",
    errors.NotReversible: "it is itself a reversal (details: `reverses`)",
    errors.ReversalExceedsOriginal: "less of it is left (details: `amount`, `reversed`, `available`, `shortfall`)",
    errors.UserExists: "the number is already registered (details: `user_id`)",
    errors.WalletExists: "the user already has a wallet of this type",
    errors.KeyExists: "there is, or was, an operator key with that name",
    errors.KeyReused: "the key was used for another request (details: `transaction` or `hold`)",
    errors.RestoreConflict: "an export is being imported into the ledger",
    errors.TimeConflict: "a wallet takes new transactions only after its last one (details: `last_at`)",
    http_errors.BodyTooLarge: "the body has more bytes than allowed",
    http_errors.RateLimited: (
        "too many wrong keys and tokens came from this address: wait for `Retry-After` seconds; a right one is still"
        " taken (details: `retry_after_s`)"
    ),
    http_errors.UnsupportedMediaType: "the body has another type or `charset` than described, or a `Content-Encoding`",
    errors.InternalError: "a bug in the server; safe to send again with the same key",
    errors.Busy: "send it again with the same key, after `Retry-After` seconds",
    errors.StorageError: "the ledger cannot be read or written; send it again with the same key",
    errors.LedgerMoved: "the ledger takes no writes here (details: `state`, `since`, and where it went)",
}
"""The text of each refusal; `code` and status come from the class."""


HEADERS: dict[str, Json] = {
    "X-Request-ID": {"description": "That of the request, or a new one; in the log too.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Send it again after so many seconds.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
}
HEADERS_OF = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
"""Further headers of an answer with this status."""


def headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def told(refusals: Iterable[Refusal]) -> str:
    """The refusals of one status, in words."""
    return "; ".join(f"`{refusal.code}`: {WORDS[refusal]}" for refusal in refusals) + "."


def by_status(refusals: Iterable[Refusal]) -> dict[int, list[Refusal]]:
    found: dict[int, list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault(refusal.http_status, []).append(refusal)
    return dict(sorted(found.items()))


class _Document:
    """What describing the operations needs in common."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        requests = dict.fromkeys(each.body for each in operations if isinstance(each.body, type))
        answers = dict.fromkeys(each.item.__name__ for each in operations if each.item is not None)
        self.components = schemas(tuple(requests), (*answers, "Failure"))
        for each in operations:
            if each.item is not None:
                data = ref(each.item.__name__)
                if isinstance(each.answer, GenericAlias):
                    data = {"type": "array", "items": data}
                self.components[each.reply] = reply(each.reply, data)
        self.paths: dict[str, Json] = {}
        for each in operations:
            self.paths.setdefault(API + each.path, {})[each.method.lower()] = self._operation(each)

    def _operation(self, operation: Operation) -> Json:
        described = [operation.description, WHO[operation.may_call]]
        made: Json = {
            "operationId": operation.name,
            "tags": [operation.tag],
            "summary": operation.summary,
            "description": " ".join(filter(None, described)),
        }
        given = [*in_path(operation.path), *operation.query, *([KEY] if operation.keyed else [])]
        if given:
            made["parameters"] = given
        if operation.body is not None:
            made["requestBody"] = {"required": True, "content": self._body(operation)}
        made["responses"] = {str(status): self._success(operation, status) for status in operation.statuses}
        for status, refusals in by_status(operation.refused_by()).items():
            made["responses"][str(status)] = self._failure(status, refusals)
        return made

    def _body(self, operation: Operation) -> Json:
        if isinstance(operation.body, dict):
            return {kind: {"schema": {"type": "string"}, "example": text} for kind, text in operation.body.items()}
        assert operation.body is not None
        schema = ref(operation.body.__name__)
        return {"application/json": {"schema": schema, "example": self._example(schema) | operation.example}}

    def _example(self, schema: Json) -> Any:
        return example_of(schema, self.components)

    def _success(self, operation: Operation, status: int) -> Json:
        again = operation.keyed and status == 200
        content: Json = {}
        if operation.item is not None:
            schema = ref(operation.reply)
            whole = self._example(schema)
            if operation.answered:
                whole["data"] |= operation.answered
            if again:
                whole["data"]["replayed"] = True
            content["application/json"] = {"schema": schema, "example": whole}
        if isinstance(operation.answer, File):
            for kind in operation.answer.content_types:
                content[kind] = {"schema": {"type": "string"} | ({"format": "binary"} if "pdf" in kind else {})}
        words = "Done before, with this key: the first answer again." if again else "Done."
        return {"description": words, "headers": headers("X-Request-ID"), "content": content}

    def _failure(self, status: int, refusals: Sequence[Refusal]) -> Json:
        examples = {refusal.code: {"$ref": f"#/components/examples/{refusal.code}"} for refusal in refusals}
        content = {"application/json": {"schema": ref("Failure"), "examples": examples}}
        return {
            "description": told(refusals),
            "headers": headers("X-Request-ID", *HEADERS_OF.get(status, ())),
            "content": content,
        }


def failed(refusal: Refusal) -> Json:
    """An example of a failure. Its details have the names in its text."""
    _, _, details = WORDS[refusal].partition(" (details: ")
    return {
        "message": "…",
        "data": None,
        "code": refusal.code,
        "details": dict.fromkeys(re.findall("`([a-z_]+)`", details.partition(" or ")[0]), "…"),
        "retryable": refusal.retryable,
        "hint": None,
    }


def document(operations: Sequence[Operation] = OPERATIONS) -> Json:
    """The whole document, as JSON values."""
    made = _Document(operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wallet", "version": __version__, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": made.paths,
        "components": {
            "schemas": made.components,
            "examples": {
                refusal.code: {"value": failed(refusal)}
                for refusal in dict.fromkeys(chain.from_iterable(each.refused_by() for each in operations))
            },
            "headers": HEADERS,
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

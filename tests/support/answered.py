"""Whether a server may answer as it did: each refusal is one that its operation declares (web/operations.py), and each
hint names what there is, and what its reader may do.

Every client of a test's server looks at each answer, so that whatever the suite provokes is declared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx

from wallet_cli.hints import FOR_KEEPER
from wallet_cli.operations.api_keys import KEY_PREFIX
from wallet_cli.web.auth import LOCAL, Caller
from wallet_cli.web.openapi import API
from wallet_cli.web.operations import OPERATIONS, Operation
from wallet_cli.web.routes.import_chunks import import_part

EVERYWHERE = {"not_found", "method_not_allowed"}
"""What is answered where there is no such operation."""

_PATHS = [(re.compile(API + re.sub(r"\{\w+\}", "[^/]+", each.path) + "/*"), each) for each in OPERATIONS]

NAMED = {f"{each.method} {each.path}": each for each in OPERATIONS}
ENDPOINT = re.compile(r"\b((?:GET|POST) /[^ ?,;:`]+)(?:\?([a-z]+)=)?")
PARAMETER = re.compile(r"(?<![^ ?])([a-z_]+)=")
TYPED = re.compile(r"(?<![\w-])--[a-z]|WALLET_[A-Z]|`wallet |\bwallet (?:create|tx|hold|key|import) ")
USER = Caller(None, 1, True)

provoked: dict[str, set[str]] = defaultdict(set)
"""The codes that were answered so far, by the name of the operation."""


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request is for; None where there is none."""
    found = [each for pattern, each in _PATHS if pattern.fullmatch(path)]
    # A path with no parameters comes before one that has them.
    found.sort(key=lambda each: each.path.count("{"))
    wanted = "GET" if method == "HEAD" else method
    return next((each for each in found if each.method == wanted and each.path == found[0].path), None)


def check(answer: httpx.Response, *, authenticated: bool = True) -> None:
    """Raises AssertionError for a refusal, or a status, that is not declared."""
    operation = operation_of(answer.request.method, answer.request.url.path)
    if operation is None:
        return
    check_hints(answer, operation)
    if answer.status_code < 400:
        assert answer.status_code in operation.statuses, f"{operation.name} may not answer {answer.status_code}"
        return
    answer.read()
    if answer.request.method == "HEAD" or not answer.headers.get("content-type", "").startswith("application/json"):
        return
    code = answer.json().get("code")
    if code in EVERYWHERE or (code == "forbidden" and not authenticated):
        return
    declared = {(refusal.http_status, refusal.code) for refusal in operation.refused_by()}
    assert (answer.status_code, code) in declared, f"{operation.name} may not answer {answer.status_code} {code}"
    provoked[operation.name].add(code)


def check_hints(answer: httpx.Response, operation: Operation) -> None:
    """Raises AssertionError for a hint that its reader cannot follow. A part of an import is for a terminal."""
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    if not is_json or answer.request.method == "HEAD" or operation.handler is import_part:
        return
    answer.read()
    credential = answer.request.headers.get("authorization", f"Bearer {KEY_PREFIX}").removeprefix("Bearer ")
    reader = LOCAL if credential.startswith(KEY_PREFIX) else USER
    parameters = {each["name"] for each in operation.query}
    for status, hint in hints_in(answer.json(), answer.status_code):
        assert not TYPED.search(hint), f"{operation.name} names a command or an option: {hint}"
        assert status >= 500 or hint != FOR_KEEPER, f"{operation.name} has no hint for {answer.text[:1000]}"
        own = {*PARAMETER.findall(ENDPOINT.sub("", hint))}
        assert own <= parameters, f"{operation.name} has no such parameter: {hint}"
        for name, parameter in ENDPOINT.findall(hint):
            NAMED[name].may_call(reader)
            assert parameter in ("", *(each["name"] for each in NAMED[name].query))


def hints_in(answer: dict[str, Any], status: int) -> Iterator[tuple[int, str]]:
    """Each hint of an answer, with the status it came with: its own, and those of the items of a batch or a file."""
    data = answer.get("data")
    for each in (answer, *(data.get("results", data.get("rejects", ())) if isinstance(data, dict) else ())):
        if each.get("hint") is not None:
            yield each.get("status", status if status >= 400 else 400), each["hint"]

"""Whether a server may answer as it did: each refusal is one that its operation declares (web/operations.py).

Every client of a test's server looks at each answer, so that whatever the suite provokes is declared.
"""

from __future__ import annotations

import re
from collections import defaultdict

import httpx

from wallet_cli.web.openapi import API
from wallet_cli.web.operations import OPERATIONS, Operation

EVERYWHERE = {"not_found", "method_not_allowed"}
"""What is answered where there is no such operation."""

_PATHS = [(re.compile(API + re.sub(r"\{\w+\}", "[^/]+", each.path) + "/*"), each) for each in OPERATIONS]

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

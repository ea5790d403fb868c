"""Authentication: operators by key, users by token, and what each may do.

Keys are 32 random bytes, so a plain SHA-256 is enough for storing them. They are looked up in the ledger at each call,
so a revoked key is refused from then on by every server of that ledger; where it is on another host, a key that was
found is believed for REMEMBER_S. The same holds for the key for which a token was issued; the token names that key.
Where an address has sent too many wrong ones (failed_logins.py), its keys are looked up in a list, which is read at
most once in REMEMBER_S: then wrong keys cost the ledger nothing, and those in the list are looked up as always.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from wallet_cli.domain import actors
from wallet_cli.domain.host import is_loopback
from wallet_cli.domain.model import ApiKey
from wallet_cli.errors import Forbidden, InvalidInput, Unauthenticated
from wallet_cli.operations.api_keys import KEY_PREFIX, hash_key
from wallet_cli.operations.tokens import Tokens, subject_of
from wallet_cli.web.failed_logins import FailedLogins
from wallet_cli.web.http_errors import RateLimited
from wallet_cli.web.messages import Scope, header

if TYPE_CHECKING:
    from wallet_cli.operations.context import Store

LOOPBACK = "127.0.0.1"
MAX_KEY_CHARS = 100

REMEMBER_S = 1.0
"""How long a server remembers a key of a ledger on another host: a revoked key is refused after this time."""

MAX_REMEMBERED = 1000

Find = Callable[[bytes | str], "ApiKey | None"]
"""An operator by the hash of a key, or by name."""


class Caller(NamedTuple):
    """A caller: an operator by name, or a user by id."""

    operator: str | None
    user_id: int | None
    may_write: bool
    is_anybody: bool = False
    """Whether no key was asked for: the operator is nobody's name."""

    @property
    def name(self) -> str:
        """The name for logs: never a phone number or a token."""
        return f"operator:{self.operator}" if self.operator is not None else f"user:{self.user_id}"

    @property
    def actor(self) -> str:
        """Who this is in the ledger (domain/actors.py)."""
        if self.is_anybody:
            return actors.BY_ANYBODY
        return actors.by_key(self.operator) if self.operator is not None else actors.by_user(self.user_id or 0)

    @property
    def is_user(self) -> bool:
        return self.operator is None

    def sees(self, user_id: int) -> bool:
        """Whether this caller may see the data of a user."""
        return self.user_id is None or self.user_id == user_id

    def may_call(self) -> None:
        """For reading the caller's own data: every known caller may."""

    def must_be_operator(self) -> None:
        """For reading data of no single user: a read-only key is enough."""
        if self.is_user:
            raise Forbidden("only an operator may do this", hint="use an operator key")

    def must_be_writing_operator(self) -> None:
        self.must_be_operator()
        self.must_write()

    def must_write(self) -> None:
        if not self.may_write:
            raise Forbidden("this key may only read")


LOCAL = Caller("local", None, True, is_anybody=True)
"""Every caller of a server that was started with --no-auth."""


def claimed(scope: Scope) -> str:
    """The caller's claimed identity, for the log: a part of a key's hash, or a token's subject; never a secret."""
    try:
        authorization = header(scope, b"authorization")
    except InvalidInput:
        return "more than one"
    if authorization is None:
        return "nobody"
    credential = authorization.decode("latin-1").partition(" ")[2]
    if credential.startswith(KEY_PREFIX):
        return f"key:{hash_key(credential[:MAX_KEY_CHARS]).hex()[:8]}"
    return f"user:{subject_of(credential)}"


def address_of(scope: Scope) -> str:
    """The address from which a request comes; behind a proxy, the proxy's."""
    client = scope.get("client")
    return str(client[0]) if client else "-"


class Authenticator:
    """Identifies callers by their `Authorization` header."""

    def __init__(self, store: Callable[[], Store], tokens: Tokens, ledger_id: str, *, is_local: bool) -> None:
        """`store` returns the connection to use at this moment."""
        self._store = store
        self._is_local = is_local
        self._tokens = tokens
        self._ledger_id = ledger_id
        self._remembered: dict[bytes | str, tuple[float, ApiKey]] = {}
        self._failed = FailedLogins()
        self._list: set[bytes | str] = set()
        self._list_until_s = 0.0
        self.used: set[str] = set()
        """Names of the operators seen since their use was last recorded in the ledger."""

    def caller(self, scope: Scope) -> Caller:
        """The caller of a request. Raises Unauthenticated, which only says that a key or token is not valid; and
        RateLimited instead, if the address has sent too many such.
        """
        address = address_of(scope)
        wait_s = self._failed.wait_s(address)
        try:
            return self._identified(scope, self._listed if wait_s else self._known)
        except Unauthenticated:
            if not wait_s:
                self._failed.count(address)
                raise
            raise RateLimited(
                "too many wrong keys and tokens from this address; a right one is still taken",
                hint="send the right one, or wait for the seconds of Retry-After",
                retry_after_s=math.ceil(wait_s),
            ) from None

    def _identified(self, scope: Scope, find: Find) -> Caller:
        """The caller, whose key is looked up by `find`."""
        authorization = header(scope, b"authorization")
        if authorization is None:
            raise Unauthenticated("no key or token", hint="Authorization: Bearer …")
        scheme, _, credential = authorization.decode("latin-1").partition(" ")
        credential = credential.lstrip(" ")  # RFC 9110, 11.4: one space or more
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("not a bearer key or token", hint="Authorization: Bearer …")
        if credential.startswith(KEY_PREFIX):
            return self._operator(credential, find)
        return self._user(credential, find)

    def _operator(self, key: str, find: Find) -> Caller:
        operator = None
        if len(key) <= MAX_KEY_CHARS:
            operator = find(hash_key(key))
        if operator is None or operator.revoked_at_us is not None:
            raise Unauthenticated("the key is not valid")
        self.used.add(operator.name)
        return Caller(operator.name, None, not operator.read_only)

    def _user(self, token: str, find: Find) -> Caller:
        user_id, issued_to = self._tokens.bearer_of(token, self._ledger_id)
        if issued_to is not None:
            operator = find(issued_to)
            if operator is None or operator.revoked_at_us is not None:
                raise Unauthenticated("the token is not valid")
        return Caller(None, user_id, True)

    def _known(self, of: bytes | str) -> ApiKey | None:
        """An operator, by the hash of a key or by name: read at each call from a ledger on this machine; read at most
        once in REMEMBER_S from another host.
        """
        if self._is_local:
            return self._read(of)
        now_s = time.monotonic()
        until_s, known = self._remembered.get(of, (0.0, None))
        if now_s < until_s:
            return known
        found = self._read(of)
        if found is not None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[of] = now_s + REMEMBER_S, found
        return found

    def _read(self, of: bytes | str) -> ApiKey | None:
        found = self._store().operator_by_name(of) if isinstance(of, str) else self._store().operator_by_hash(of)
        if found is None:
            self._check_ledger()
        return found

    def _listed(self, of: bytes | str) -> ApiKey | None:
        """The same, only of those in a list of all, which is read at most once in REMEMBER_S."""
        if time.monotonic() >= self._list_until_s:
            self._check_ledger()
            operators = self._store().operators()
            self._list = {each.key_hash for each in operators} | {each.name for each in operators}
            self._list_until_s = time.monotonic() + REMEMBER_S
        return self._known(of) if of in self._list else None

    def _check_ledger(self) -> None:
        """Raises StorageError if a database has another ledger now: it knows none of this one's keys."""
        if not self._is_local:
            self._store().itself()


class NoAuthenticator:
    """`--no-auth`: every caller on this machine is an operator."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def caller(self, scope: Scope) -> Caller:
        """The caller of a request. Raises Forbidden for a request of a web page.

        A page in a browser on this machine can send requests here too, under its own name (`Host`, if it made that name
        resolve to this machine) or from its own origin (`Origin`). Programs and terminals do neither.
        """
        host = (header(scope, b"host") or b"").decode("latin-1")
        origin = header(scope, b"origin")
        if not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise Forbidden("--no-auth answers only requests to localhost", hint=f"use the address {LOOPBACK}")
        if origin is not None and origin.decode("latin-1") != f"http://{host}":
            raise Forbidden("--no-auth does not answer other web pages", hint="use an operator key")
        return LOCAL

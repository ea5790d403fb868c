"""One request, for the endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from wallet_cli.domain.ids import MAX_KEY_CHARS, OwnedWallet, format_wallet_id, parse_id
from wallet_cli.errors import InvalidInput, UserNotFound, WalletNotFound, shown
from wallet_cli.operations import pages
from wallet_cli.operations.answers import Answer
from wallet_cli.operations.context import Ledger
from wallet_cli.web.auth import Caller
from wallet_cli.web.long_work import Slices
from wallet_cli.web.messages import JSON_TYPE, Receive, Reply, Scope, header, media_type, query, read_body
from wallet_cli.web.readers import SEARCHES
from wallet_cli.web.requests import MAX_BODY_BYTES, TIMES
from wallet_cli.web.server_state import ServerState

QUICK_BYTES = 8 * 1024
"""A longer body takes the loop more than 0.1 ms, and waits for a slice; those with a note and metadata are shorter."""

INSTEAD = {"user_id": "; GET /lookup/user finds a user by the phone number"}
"""What may be asked where an id in a path is none."""

UTF8 = b"UTF-8''"
MAX_KEY_BYTES = 4096
"""Room for a key with an escape for each byte."""

QUOTED = re.compile(rb'"((?:[^"\\]|\\["\\])*)"')
"""A string of a structured field (RFC 8941), as in a draft for this header."""


class Call(NamedTuple):
    """One request of a known caller."""

    scope: Scope
    receive: Receive
    caller: Caller
    slices: Slices

    async def body(self) -> bytes:
        """The JSON body. Raises UnsupportedMediaType, BodyTooLarge, or ClientLeft."""
        body = b"".join(await self.pieces(MAX_BODY_BYTES))
        if len(body) > QUICK_BYTES:
            await self.slices.next()
        return body

    async def pieces(self, limit: int) -> list[bytes]:
        """The JSON body, as it came. Raises as `body` does."""
        media_type(self.scope, (JSON_TYPE,))
        return await read_body(self.scope, self.receive, limit)

    async def file(self, known: Sequence[str], limit: int) -> tuple[str, bytes]:
        """The type of the body, one of `known`, and the body. Raises as `body` does."""
        return media_type(self.scope, known), b"".join(await read_body(self.scope, self.receive, limit))

    def path(self, name: str) -> str:
        return str(self.scope["path_params"][name])

    def path_id(self, name: str) -> int:
        return parse_id(self.path(name), INSTEAD.get(name, ""))

    def query(self, *known: str) -> dict[str, str]:
        return query(self.scope, frozenset(known))

    def key(self) -> str | None:
        """The `Idempotency-Key`, which the operation checks; quotes around it do not belong to it.

        `Idempotency-Key*` has it in the form of RFC 8187: for a key beyond ASCII, or one that begins with a quote.
        """
        value = header(self.scope, b"idempotency-key")
        encoded = header(self.scope, b"idempotency-key*")
        if max(map(len, filter(None, (value, encoded))), default=0) > MAX_KEY_BYTES:
            raise InvalidInput("the Idempotency-Key is too long", hint=f"at most {MAX_KEY_CHARS} characters")
        if encoded is not None:
            if value is not None or not encoded.upper().startswith(UTF8):
                raise InvalidInput(
                    "the Idempotency-Key is not valid", hint="send one of the two headers; Idempotency-Key*: UTF-8''…"
                )
            value = unquote_to_bytes(encoded[len(UTF8) :])
        elif value is not None and (quoted := QUOTED.fullmatch(value)):
            value = re.sub(rb"\\(.)", rb"\1", quoted[1])
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput("the Idempotency-Key is not UTF-8") from None

    def no_key(self, what: str, instead: str) -> None:
        """Raises InvalidInput for an `Idempotency-Key`. It is not kept: what is sent again could be applied twice."""
        if self.key() is not None:
            raise InvalidInput(f"{what} takes no Idempotency-Key", hint=f"give each of its {instead} a `key`")


SHORT_PAGE = 100


class Page(NamedTuple):
    """The requested part of a list."""

    limit: int
    cursor: str | None
    counted: bool
    """Whether to include the length of the whole list."""

    @property
    def is_long(self) -> bool:
        """Whether it takes the loop more than about a millisecond. A limit that is refused does not."""
        return SHORT_PAGE < self.limit <= pages.MAX_LIMIT


PAGE = ("limit", "cursor", "count")


def page(given: dict[str, str]) -> Page:
    """The part that a query requests. Raises InvalidInput for a limit that is not a number."""
    limit = given.get("limit", str(pages.DEFAULT_LIMIT))
    if not re.fullmatch("-?[0-9]{1,100}", limit):
        raise InvalidInput(f"the limit is not a number: {shown(limit)}", hint=f"1 to {pages.MAX_LIMIT}")
    return Page(int(limit), given.get("cursor"), flag(given, "count"))


FLAGS = {"true": True, "false": False}


def flag(given: dict[str, str], name: str) -> bool:
    """A parameter that is `true` or `false`; false if not given. Raises InvalidInput for any other value."""
    value = FLAGS.get(given.get(name, "false"))
    if value is None:
        raise InvalidInput(f"{name} is not true or false: {shown(given[name])}", hint=f"{name}=true, or leave it out")
    return value


def timed(ledger: Ledger, given: dict[str, str]) -> Ledger:
    """The ledger as it is to read times. Raises InvalidInput for a `times` that is none of TIMES."""
    utc, own = TIMES
    times = given.get("times", utc)
    if times not in TIMES:
        raise InvalidInput(f"not a value for times: {shown(times)}", hint=f"times={utc} or {own}")
    return ledger.in_its_zone() if times == own else ledger


async def read(server: ServerState, call: Call, work: Callable[..., Any], *given: Any, long: bool) -> Any:
    """`work(ledger, *given)`; if it takes long, in a separate process, so `work` and `given` must be picklable."""
    if long:
        return await server.readers.answer(call.receive, SEARCHES, call.caller, work, *given)
    return work(server.ledger, *given)


def made(message: str, answer: Answer) -> Reply:
    """The reply to a creating request; 200 if the same key created it before."""
    if answer.get("replayed"):
        return Reply(200, f"{message} before, with this key", answer)
    return Reply(201, message, answer)


def must_see(caller: Caller, user_id: int) -> None:
    """Raises UserNotFound for another user, as for one that does not exist."""
    if not caller.sees(user_id):
        raise UserNotFound(f"there is no user with the id {user_id}")


def must_see_wallet(caller: Caller, wallet: OwnedWallet) -> None:
    """Raises WalletNotFound for another user's wallet, as for one that does not exist."""
    if not caller.sees(wallet.user_id):
        raise WalletNotFound(f"user {wallet.user_id} has no wallet {format_wallet_id(wallet.wallet_id)}")

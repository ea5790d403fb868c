"""One request, as the endpoints see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from wallet_cli.domain.address import OwnedWallet, check_key, parse_id
from wallet_cli.errors import InvalidInput, UserNotFound, WalletNotFound, shown
from wallet_cli.services import pages
from wallet_cli.services.context import Ledger
from wallet_cli.settings import Settings, Value
from wallet_cli.web.auth import Caller
from wallet_cli.web.bodies import MAX_BODY_BYTES
from wallet_cli.web.exchange import JSON_TYPE, Receive, Scope, header, media_type, query, read_body

UTF8 = b"UTF-8''"


class Call(NamedTuple):
    """One request, its caller known."""

    scope: Scope
    receive: Receive
    caller: Caller

    async def body(self, limit: int = MAX_BODY_BYTES) -> bytes:
        """The body, which is JSON. Raises UnsupportedMediaType, BodyTooLarge, or ClientLeft."""
        media_type(self.scope, (JSON_TYPE,))
        return await read_body(self.scope, self.receive, limit)

    async def file(self, known: Sequence[str], limit: int) -> tuple[str, bytes]:
        """The type of the body, one of `known`, and the body. Raises as `body` does."""
        return media_type(self.scope, known), await read_body(self.scope, self.receive, limit)

    def path(self, name: str) -> str:
        return str(self.scope["path_params"][name])

    def path_id(self, name: str) -> int:
        return parse_id(self.path(name))

    def query(self, *known: str) -> dict[str, str]:
        return query(self.scope, frozenset(known))

    def key(self) -> str | None:
        """The `Idempotency-Key`, checked.

        Spaces at its ends, which no header keeps, stand in `Idempotency-Key*`, in the form of RFC 8187.
        """
        value = header(self.scope, b"idempotency-key")
        encoded = header(self.scope, b"idempotency-key*")
        if encoded is not None:
            if value is not None or not encoded.upper().startswith(UTF8):
                raise InvalidInput("the Idempotency-Key cannot be read", hint="one of both; Idempotency-Key*: UTF-8''…")
            value = unquote_to_bytes(encoded[len(UTF8) :])
        if value is None:
            return None
        try:
            return check_key(value.decode("utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput("the Idempotency-Key is not UTF-8") from None


class Page(NamedTuple):
    """Which part of a list is asked for."""

    limit: int
    cursor: str | None


PAGE = ("limit", "cursor")


def page(given: dict[str, str]) -> Page:
    """The part that a query asks for. Raises InvalidInput for a limit that is no number."""
    limit = given.get("limit", str(pages.DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4):
        raise InvalidInput(f"the limit is not a number: {shown(limit)}", hint=f"1 to {pages.MAX_LIMIT}")
    return Page(int(limit), given.get("cursor"))


FLAGS = {"true": True, "false": False}


def flag(given: dict[str, str], name: str) -> bool:
    """A parameter that is `true` or `false`; false where it is not given. Raises InvalidInput for any other word."""
    value = FLAGS.get(given.get(name, "false"))
    if value is None:
        raise InvalidInput(
            f"{name} is neither true nor false: {shown(given[name])}", hint=f"{name}=true, or leave it out"
        )
    return value


def as_told(ledger: Ledger, **told: str | None) -> Ledger:
    """The same ledger, with settings that a caller chose in the place of the server's."""
    chosen = {name: Value(text, "the request") for name, text in told.items() if text is not None}
    if not chosen:
        return ledger
    return ledger.told(Settings({**ledger.chosen.values, **chosen}))


def must_see(caller: Caller, user_id: int) -> None:
    """Raises UserNotFound for another user, as for one who is not there."""
    if not caller.sees(user_id):
        raise UserNotFound(f"there is no user with the id {user_id}")


def must_see_wallet(caller: Caller, wallet: OwnedWallet) -> None:
    """Raises WalletNotFound for another user's wallet, as for one that is not there."""
    if not caller.sees(wallet.user_id):
        raise WalletNotFound(f"user {wallet.user_id} has no wallet {wallet.wallet_id}")

"""One request, as the endpoints see it."""

from __future__ import annotations

from typing import NamedTuple

from wallet_cli.domain.address import OwnedWallet, check_key, parse_id
from wallet_cli.errors import InvalidInput, UserNotFound, WalletNotFound, shown
from wallet_cli.services import pages
from wallet_cli.web.auth import Caller
from wallet_cli.web.bodies import MAX_BODY_BYTES
from wallet_cli.web.exchange import Receive, Scope, header, query, read_body


class Call(NamedTuple):
    """One request, its caller known."""

    scope: Scope
    receive: Receive
    caller: Caller

    async def body(self, limit: int = MAX_BODY_BYTES) -> bytes:
        return await read_body(self.scope, self.receive, limit)

    def path(self, name: str) -> str:
        return str(self.scope["path_params"][name])

    def path_id(self, name: str) -> int:
        return parse_id(self.path(name))

    def query(self, *known: str) -> dict[str, str]:
        return query(self.scope, frozenset(known))

    def key(self) -> str | None:
        """The `Idempotency-Key`, checked."""
        value = header(self.scope, b"idempotency-key")
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


def must_see(caller: Caller, user_id: int) -> None:
    """Raises UserNotFound for another user, as for one who is not there."""
    if not caller.sees(user_id):
        raise UserNotFound(f"there is no user with the id {user_id}")


def must_see_wallet(caller: Caller, wallet: OwnedWallet) -> None:
    """Raises WalletNotFound for another user's wallet, as for one that is not there."""
    if not caller.sees(wallet.user_id):
        raise WalletNotFound(f"user {wallet.user_id} has no wallet {wallet.wallet_id}")

"""The common part of all requests to a server: the server, the ledger's time zone, and wallets by name."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import tzinfo
from functools import cached_property
from typing import Any

from wallet_cli.domain.ids import TypedWallet, UserId, UserName
from wallet_cli.domain.model import Policy, Wallet
from wallet_cli.domain.money import Currency, parse_told
from wallet_cli.domain.period import UTC_NAME, Period, format_end, format_time, needs_zone
from wallet_cli.operations import fields
from wallet_cli.operations.answers import Answer
from wallet_cli.remote.http import NO_QUERY, Query, Server
from wallet_cli.settings import Settings


class Client:
    def __init__(self, settings: Settings, server: Server) -> None:
        self.settings = settings
        """Only the settings of this machine; the server decides the rest."""
        self.server = server

    @cached_property
    def _zone(self) -> tzinfo:
        return Policy(zone=self.told["timezone"] or UTC_NAME).tz

    @cached_property
    def told(self) -> Answer:
        """What the ledger says of itself; requested once, when needed."""
        answer: Answer = self.server.get("/ledger", fields.Ledger)
        return answer

    def zone(self) -> tzinfo:
        """The time zone of the ledger's days, and of times without an offset; requested once, when needed."""
        return self._zone

    def now_us(self) -> int:
        """The time by the clock of here, in microseconds since 1970: what `7d` ago is reckoned from."""
        return time.time_ns() // 1000

    @property
    def region(self) -> str | None:
        """The country of numbers with no `+`, if chosen here; else the server's setting counts."""
        return self.settings.given("phone_region")

    def find_user(self, name: UserName) -> Answer:
        return self._get("/lookup/user", fields.User, user=user_text(name), region=self.region)

    def find_wallet(self, ref: TypedWallet) -> Wallet:
        """A wallet by its fields that never change: id, owner, type and currency. Do not use the others."""
        return known_wallet(self.wallet(ref))

    def wallet(self, ref: TypedWallet, at: str | None = None) -> Answer:
        return self._get("/lookup/wallet", fields.WalletThen, wallet=ref.text, region=self.region, at=at)

    def total_of(self, wallet: Wallet, period: Period) -> Answer:
        bounds = bounds_of(period)
        body = ids(wallet) | {"start_date": bounds["from"], "end_date": bounds["to"]}
        total: Answer = self.server.post("/transactions/get/total_in_period", fields.Total, body, reads=True)
        return total

    def _get(self, path: str, shape: Any, **query: str | None) -> Answer:
        found: Answer = self.server.get(path, shape, query)
        return found

    def _post(
        self,
        path: str,
        shape: Any,
        body: dict[str, Any],
        *,
        key: str | None = None,
        again: bool = False,
        query: Query = NO_QUERY,
    ) -> Answer:
        made: Answer = self.server.post(path, shape, body, query, key=key, again=again)
        return made


IN_LEDGERS_ZONE: Query = {"times": "ledger"}


def zone_of_times(times: Iterable[str]) -> Query:
    """What is said of these times, which are sent as they were typed: where one has no offset, the server is told that
    it is in the ledger's time zone. It knows those of before: a time that comes again is the time that it was.
    """
    return IN_LEDGERS_ZONE if any(map(needs_zone, times)) else NO_QUERY


def user_text(name: UserName) -> str:
    """The text of a USER."""
    return f"id:{name.id}" if isinstance(name, UserId) else name.typed


def known_wallet(found: Answer) -> Wallet:
    return Wallet(found["id"], found["user_id"], found["type"], told_currency(found), found["status"], None, 0)


def told_currency(wallet: Answer) -> Currency:
    """The currency of a wallet in a server's answer: the server's tables may be of another year."""
    return parse_told(wallet["currency"], wallet["balance"])


def ids(wallet: Wallet) -> dict[str, Any]:
    """The fields that name a wallet in a body."""
    return {"user_id": wallet.user_id, "wallet_id": wallet.id}


def bounds_of(period: Period) -> dict[str, str | None]:
    """A period for a server: `from` and `to`, in UTC, an end as the last moment inside."""
    return {
        "from": None if period.start_us is None else format_time(period.start_us),
        "to": None if period.end_us is None else format_end(period.end_us),
    }

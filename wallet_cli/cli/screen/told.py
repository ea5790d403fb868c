"""How values are told: amounts, times by the ledger's clock, and whose a wallet is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC
from functools import cached_property
from time import time_ns
from typing import TYPE_CHECKING, Any

from wallet_cli.cli.screen.money import Amount, Money
from wallet_cli.domain.clock import Clock
from wallet_cli.domain.ids import format_wallet_id
from wallet_cli.domain.period import parse_start
from wallet_cli.domain.text import harmless
from wallet_cli.errors import WalletError

if TYPE_CHECKING:
    from wallet_cli.api import LedgerApi
    from wallet_cli.operations.answers import Answer

Row = Mapping[str, Any]


class Told:
    """Tells values of rows as `operations/fields.py` has them; the ledger is asked for its time zone and for names."""

    def __init__(self, ledger: LedgerApi | None, encoding: str = "utf-8") -> None:
        self._ledger = ledger
        self._encoding = encoding
        self._holders: dict[int, Answer] = {}
        self._asked: set[int] = set()

    @cached_property
    def money(self) -> Money:
        return Money(self._encoding)

    @cached_property
    def clock(self) -> Clock:
        """The ledger's; UTC, which is said beside the time, where that cannot be had."""
        if self._ledger is not None:
            # What is told may have been done by now: that nothing more can be asked does not make an error of it.
            with suppress(WalletError):
                return Clock(self._ledger.zone())
        return Clock(UTC)

    @cached_property
    def ellipsis(self) -> str:
        return "…" if self._encoding.lower().replace("-", "").startswith("utf") else "..."

    def safe(self, text: str) -> str:
        """A text as it is printed: harmless, and with escapes for what the encoding lacks."""
        return harmless(text).encode(self._encoding, "backslashreplace").decode(self._encoding)

    def amount(self, row: Row, name: str, sign: str = "") -> Amount | None:
        """An amount in the row's currency; None where there is none."""
        return None if row.get(name) is None else self.money.amount(row[name], row["currency"], sign)

    def signed(self, row: Row) -> Amount | None:
        """The amount of a transaction, with the sign that says which way it went."""
        return self.amount(row, "amount", "+" if row["is_credit"] else "-")

    def second(self, time: str | None) -> str:
        """A time of an answer to the second, by the ledger's clock: `2024-04-19 05:27:13`."""
        return "" if time is None else self.clock.second(parse_start(time, UTC))

    def day(self, time: str | None) -> str:
        """The day of a time, by the ledger's clock: `2024-04-19`."""
        return self.second(time)[:10]

    def moment(self, time: str) -> str:
        """A time of an answer, and by which clock: `2024-04-19 10:57:13 IST`."""
        name = self.clock.moment(parse_start(time, UTC)).tzname() or ""
        if name[:1] in ("+", "-"):  # a zone that has no short name: +0530
            name = f"UTC{name[:3]}:{name[3:] or '00'}"
        return f"{self.second(time)} {name}"

    def is_over(self, time: str) -> bool:
        """Whether a time of an answer has come, by this machine's clock."""
        return parse_start(time, UTC) < time_ns() // 1000

    def know(self, wallets: Iterable[int]) -> None:
        """Find out whose these wallets are, in one question for all that is not known yet."""
        new = set(wallets) - self._asked
        if new and self._ledger is not None:
            self._asked |= new
            # Names are more than what was asked for, and who calls may not be told them.
            with suppress(WalletError):
                self._holders |= {each["wallet_id"]: each for each in self._ledger.holders(new)}

    def owner(self, wallet_id: int) -> str:
        """Whose a wallet is: a name, or a phone number; empty where it is not known."""
        self.know([wallet_id])
        found = self._holders.get(wallet_id, {})
        return found.get("name") or found.get("phone_e164") or ""

    def wallet(self, wallet_id: int) -> str:
        """A wallet as the next command takes it: `2/main`, or `w7` where no more is known."""
        self.know([wallet_id])
        found = self._holders.get(wallet_id)
        return format_wallet_id(wallet_id) if found is None else str(found["wallet"])

    def wallet_and_owner(self, wallet_id: int) -> str:
        """`2/main, Asha`"""
        owner = self.owner(wallet_id)
        return f"{self.wallet(wallet_id)}, {owner}" if owner else self.wallet(wallet_id)

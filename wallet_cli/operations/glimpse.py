"""The names in a ledger, for completion while typing: users, wallets, holds, transactions, keys.

Each function takes the beginning of a name and returns a few matches, with a description. They use indexes where there
are any, and never take long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Owner(NamedTuple):
    """A user: the id, the number as typed here, the full number, and the name."""

    id: int
    phone: str
    e164: str
    name: str | None


class Owned(NamedTuple):
    """A wallet and its owner."""

    id: int
    owner: Owner
    type: str
    currency: str


class Look:
    """A ledger whose names are looked up. Unknown kinds have no names."""

    def users(self, begins: str) -> list[Owner]:
        """Users whose number, id or name begins with this text."""
        raise NotImplementedError

    def wallets(self, begins: str) -> list[Owned]:
        """Wallets of users whose number, id or name begins with the text before the slash."""
        raise NotImplementedError

    def holds(self, begins: str) -> list[tuple[str, str]]:
        """Ids of open holds, the newest of a wallet first, with their notes."""
        return []

    def transactions(self, begins: str) -> list[tuple[str, str]]:
        """Ids of a wallet's transactions, the newest first, with their notes; before the `-`, the last few of each
        wallet: the last one alone would be filled in as if it were meant.
        """
        return []

    def operators(self) -> list[str]:
        """Names of valid operator keys."""
        return []

    def keys(self, wallet: str, begins: str) -> list[str]:
        """Keys of a wallet's transactions."""
        return []

    def currencies(self) -> list[str]:
        """The currencies of wallets, and the ledger's."""
        return []


class LocalLook(Look):
    """A ledger in a file or in PostgreSQL, by the setting `db`; `region` is the country of numbers with no `+`."""

    def __init__(self, db: str, region: str | None) -> None:
        self._db = db
        self._region = region

    def _rows(self, name: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """The rows of a question of storage/glimpse.py, by its name."""
        from wallet_cli.storage import glimpse

        rows = glimpse.rows_of_server if "://" in self._db else glimpse.rows_of_file
        return rows(self._db, *getattr(glimpse, name)(*values))

    def users(self, begins: str) -> list[Owner]:
        return [Owner(*row) for row in self._rows("users", begins, self._region)]

    def wallets(self, begins: str) -> list[Owned]:
        return [Owned(row[4], Owner(*row[:4]), *row[5:]) for row in self._rows("wallets", begins, self._region)]

    def holds(self, begins: str) -> list[tuple[str, str]]:
        rows = self._rows("open_holds", begins.partition("-")[0])
        return [(f"{wallet_id}-h{number}", note or "") for wallet_id, number, note in rows]

    def transactions(self, begins: str) -> list[tuple[str, str]]:
        wallet, dash, _ = begins.partition("-")
        rows = self._rows("transactions", wallet, bool(dash))
        return [(f"{wallet_id}-{seq}", note or "") for wallet_id, seq, note in rows]

    def operators(self) -> list[str]:
        return [name for (name,) in self._rows("operators")]

    def keys(self, wallet: str, begins: str) -> list[str]:
        found = [each for each in self.wallets(wallet) if wallet in names_of_wallet(each)]
        if len(found) != 1:
            return []
        return [key for (key,) in self._rows("keys", found[0].id, begins)]

    def currencies(self) -> list[str]:
        return [name for (name,) in self._rows("currencies")]


def names_of(owner: Owner) -> tuple[str, ...]:
    """The names for a user, the usual one first."""
    return (owner.phone, owner.e164, str(owner.id), f"id:{owner.id}", *([owner.name] if owner.name else []))


def names_of_wallet(wallet: Owned) -> list[str]:
    """The names for a wallet."""
    short = names_of(wallet.owner) if wallet.type == "main" else ()
    return [*short, *(f"{name}/{wallet.type}" for name in names_of(wallet.owner)), f"w{wallet.id}"]

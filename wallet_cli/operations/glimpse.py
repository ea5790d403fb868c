"""The names in a ledger, for completion while typing: users, wallets, holds, transactions, keys.

Each function takes the beginning of a name and returns a few matches, with a description. They use indexes where there
are any, and never take long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

MOST = 100

A_FEW = 5
"""How many transactions of each wallet are offered where no wallet is named yet."""


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
        """Ids of a wallet's transactions, the newest first, with their notes; before the `-`, the last A_FEW of each
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

    def _rows(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        from wallet_cli.storage import glimpse

        rows = glimpse.rows_of_server if "://" in self._db else glimpse.rows_of_file
        return rows(self._db, statement, values)

    def users(self, begins: str) -> list[Owner]:
        where, values = _whose(begins)
        statement = f"SELECT {OWNER} FROM users u WHERE {where} ORDER BY u.id LIMIT {MOST}"
        rows = self._rows(statement, self._region, *values)
        return [Owner(*row) for row in rows]

    def wallets(self, begins: str) -> list[Owned]:
        where, values = _whose(begins.partition("/")[0])
        if begins == "w":
            where, values = _whose("")
        elif begins[:1] == "w" and begins[1:].isdigit():
            number = int(begins[1:18])
            where, values = "w.id = ? OR w.id BETWEEN ? AND ?", (number, number * 10, number * 10 + 9)
        rows = self._rows(
            f"SELECT {OWNER}, w.id, w.type, w.currency FROM users u JOIN wallets w ON w.user_id = u.id"
            f" WHERE {where} ORDER BY u.id, w.id LIMIT {MOST}",
            *(self._region, *values),
        )
        return [Owned(row[4], Owner(*row[:4]), *row[5:]) for row in rows]

    def holds(self, begins: str) -> list[tuple[str, str]]:
        wallet = begins.partition("-")[0]
        of_one = "wallet_id = ? AND" if wallet.isdigit() else ""
        rows = self._rows(
            f"SELECT wallet_id, number, note FROM holds WHERE {of_one} status = 'open'"
            f" ORDER BY wallet_id, number DESC LIMIT {MOST}",
            *([int(wallet[:18])] if of_one else []),
        )
        return [(f"{wallet_id}-h{number}", note or "") for wallet_id, number, note in rows]

    def transactions(self, begins: str) -> list[tuple[str, str]]:
        wallet, dash, _ = begins.partition("-")
        values: list[int | str]
        if dash and wallet.isdigit():
            where, values = "t.wallet_id = ?", [int(wallet[:18])]
        else:
            newest = "(SELECT max(seq) FROM transactions WHERE wallet_id = t.wallet_id)"
            wallets = f"SELECT id FROM wallets WHERE CAST(id AS TEXT) LIKE ? ORDER BY id LIMIT {MOST}"
            where, values = f"t.wallet_id IN ({wallets}) AND t.seq > {newest} - {A_FEW}", [f"{wallet}%"]
        rows = self._rows(
            f"SELECT t.wallet_id, t.seq, t.note FROM transactions t WHERE {where} ORDER BY t.wallet_id, t.seq DESC"
            f" LIMIT {MOST}",
            *values,
        )
        return [(f"{wallet_id}-{seq}", note or "") for wallet_id, seq, note in rows]

    def operators(self) -> list[str]:
        return [name for (name,) in self._rows("SELECT name FROM operators WHERE revoked_at_us IS NULL ORDER BY name")]

    def keys(self, wallet: str, begins: str) -> list[str]:
        found = [each for each in self.wallets(wallet) if wallet in names_of_wallet(each)]
        if len(found) != 1:
            return []
        rows = self._rows(
            f"SELECT key FROM transactions WHERE wallet_id = ? AND key >= ? AND key < ? ORDER BY key LIMIT {MOST}",
            *(found[0].id, begins, begins + LAST),
        )
        return [key for (key,) in rows]

    def currencies(self) -> list[str]:
        rows = self._rows(
            "SELECT currency FROM (SELECT currency FROM wallets LIMIT 1000) w"
            " UNION SELECT currency FROM ledger WHERE currency IS NOT NULL ORDER BY currency"
        )
        return [name for (name,) in rows]


OWNER = (
    "u.id, CASE WHEN u.phone_region = COALESCE(?, (SELECT phone_region FROM ledger), 'IN') THEN u.phone_national"
    " ELSE u.phone_e164 END, u.phone_e164, u.name"
)
LAST = "\U0010ffff"
"""No character of a text comes after it."""

AFTER_DIGITS = ":"
"""No character of a number comes after it."""


def _whose(begins: str) -> tuple[str, Sequence[Any]]:
    """The condition on users whose number, id or name begins with this text."""
    end = begins + AFTER_DIGITS
    if not begins:
        return "1 = 1", ()
    if begins.startswith("+"):
        return "u.phone_e164 >= ? AND u.phone_e164 < ?", (begins, end)
    if begins.startswith("id:"):
        return "u.id = ?", (int(begins[3:21]) if begins[3:].isdigit() else -1,)
    if begins.isdigit():
        return "(u.phone_national >= ? AND u.phone_national < ?) OR u.id = ?", (begins, end, int(begins[:18]))
    return "lower(substr(u.name, 1, ?)) = lower(?)", (len(begins), begins)


def names_of(owner: Owner) -> tuple[str, ...]:
    """The names for a user, the usual one first."""
    return (owner.phone, owner.e164, str(owner.id), f"id:{owner.id}", *([owner.name] if owner.name else []))


def names_of_wallet(wallet: Owned) -> list[str]:
    """The names for a wallet."""
    short = names_of(wallet.owner) if wallet.type == "main" else ()
    return [*short, *(f"{name}/{wallet.type}" for name in names_of(wallet.owner)), f"w{wallet.id}"]

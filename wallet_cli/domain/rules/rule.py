"""What a rule declares: the command it decides, what that command touches, and the refusals it can give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from wallet_cli.domain.commands import Applied, Refusal, Replayed
from wallet_cli.domain.events import WALLET, Subject
from wallet_cli.domain.rules.state import State
from wallet_cli.errors import WalletError

Decision = Applied | Replayed | Refusal
Refusals = tuple[type[WalletError], ...]
Place = tuple[int, int]
"""A wallet id, and the seq of a transaction or the number of a hold."""

C = TypeVar("C", bound=tuple[Any, ...])


class Touched:
    """What a batch touches: the wallets to lock, and what to read before the batch is decided.

    `wallets` are read by id, with the last transaction of each, and `keys` by wallet id and key. `originals` are
    transactions to reverse, each with the other leg and what was reversed of it; `forced` are those of them that are
    reversed with force, which is recorded; `transfers` what has a key (wallet id, key, whether it is a user's), with
    the other leg; `transactions` and `holds` what may be in a place. `days` are wallets whose debits of the day count
    even without a daily limit, `resets` those whose time is reset, `holds_since` those with a debit at an earlier time,
    and the earliest: holds placed since then matter. Users are read by id (`users`), number (`phones`) and key
    (`user_keys`), wallets by owner and type (`owned`) or key (`wallet_keys`), operators by name. `next_user` and
    `next_wallet` ask for the next id, `contradictions` whether the rows of an imported ledger agree. `recorded` are
    those of which events are recorded, `past_events` places where events may be. `creating`: the batch creates or
    changes something that belongs to no wallet.
    """

    def __init__(self) -> None:
        self.wallets: set[int] = set()
        self.keys: list[tuple[int, str]] = []
        self.originals: list[Place] = []
        self.forced: set[Place] = set()
        self.transfers: list[tuple[int, str, bool]] = []
        self.transactions: list[Place] = []
        self.holds: list[Place] = []
        self.days: list[int] = []
        self.resets: list[int] = []
        self.holds_since: dict[int, int] = {}
        self.recorded: set[Subject] = set()
        self.past_events: list[tuple[int, int, int]] = []
        self.creating = False
        self.users: list[int] = []
        self.phones: list[str] = []
        self.user_keys: list[str] = []
        self.owned: list[tuple[int, str]] = []
        self.wallet_keys: list[tuple[int, str]] = []
        self.operators: list[str] = []
        self.next_user = self.next_wallet = self.contradictions = False

    def wallet(self, wallet_id: int, key: str | None = None) -> None:
        """A wallet, and what has this key in it, if one is given."""
        self.wallets.add(wallet_id)
        if key is not None:
            self.keys.append((wallet_id, key))

    def hold(self, wallet_id: int, number: int, key: str | None = None) -> None:
        """A hold, its wallet, and what has this key in the wallet, if one is given."""
        self.wallet(wallet_id, key)
        self.holds.append((wallet_id, number))

    def events_of_wallet(self, wallet_id: int) -> None:
        """The last event of a wallet, to which another one is added."""
        self.recorded.add((WALLET, wallet_id))


class Rule(Generic[C]):
    """How the commands of one kind are decided.

    `decide` gets the state, the command, and the time of the turn. `touches` adds what a command touches to that of
    its batch. `refusals` are the errors with which `decide` can refuse it. `while_restoring`: a ledger accepts it while
    an export is being imported.
    """

    def __init__(
        self,
        command: type[C],
        decide: Callable[[State, C, int], Decision],
        touches: Callable[[C, Touched], None],
        refusals: Refusals,
        *,
        while_restoring: bool = False,
    ) -> None:
        self.command = command
        self.decide = decide
        self.touches = touches
        self.refusals = refusals
        self.while_restoring = while_restoring

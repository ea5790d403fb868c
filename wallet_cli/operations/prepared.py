"""One shape for every write: what it asks for, and how its result is told.

Who runs it is another's matter: a terminal in a turn that it waits for (`Ledger.run`), a server with what others ask
for at the same time (`ServerState.run`), a batch with its other items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from wallet_cli.domain.commands import Applied, Replayed, Single
from wallet_cli.domain.ids import OwnedWallet, WalletRef
from wallet_cli.domain.model import Wallet
from wallet_cli.errors import WalletError
from wallet_cli.operations.answers import Answer

C = TypeVar("C", bound=Single, covariant=True)


class Prepared(Generic[C]):
    """A write whose texts are read and whose wallets are found: only the rules can refuse it now."""

    def __init__(
        self,
        command: C,
        answer: Callable[[Applied | Replayed], Answer],
        asked: Sequence[tuple[WalletRef, Wallet]] = (),
    ) -> None:
        self.command = command
        self.answer = answer
        """Makes the answer of the result; it has `replayed` where that was there before, with the same key."""
        self.asked = asked
        """The wallets, each as it was asked for: so an error names it."""


def told_again(answer: Answer, result: Applied | Replayed) -> Answer:
    """The answer, with `replayed` where the result was there before."""
    return answer | {"replayed": True} if isinstance(result, Replayed) else answer


@contextmanager
def naming(*asked: tuple[WalletRef, Wallet]) -> Iterator[None]:
    """Have the errors of a `with` block name these wallets as they were asked for."""
    try:
        yield
    except WalletError as error:
        error.name_wallets({wallet.id: ref.text for ref, wallet in asked if not isinstance(ref, OwnedWallet)})
        raise

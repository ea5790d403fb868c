"""One shape for every write: its command, and how to make the answer from the result.

The caller runs it: a terminal in a turn that it waits for (`Ledger.run`), a server together with other requests of the
same time (`ServerState.run`), a batch together with its other items.
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
    """A write whose texts are parsed and whose wallets are found: only the rules can still refuse it."""

    def __init__(
        self,
        command: C,
        answer: Callable[[Applied | Replayed], Answer],
        asked: Sequence[tuple[WalletRef, Wallet]] = (),
    ) -> None:
        self.command = command
        self.answer = answer
        """Makes the answer from the result; it has `replayed` if the same key applied it before."""
        self.asked = asked
        """The wallets as the caller named them, for the messages of errors."""


def told_again(answer: Answer, result: Applied | Replayed) -> Answer:
    """The answer, with `replayed` if the result is an earlier one."""
    return answer | {"replayed": True} if isinstance(result, Replayed) else answer


@contextmanager
def naming(*asked: tuple[WalletRef, Wallet]) -> Iterator[None]:
    """Errors raised in the `with` block name these wallets as the caller did."""
    try:
        yield
    except WalletError as error:
        error.name_wallets({wallet.id: ref.text for ref, wallet in asked if not isinstance(ref, OwnedWallet)})
        raise

"""`wallet verify`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.output import Record, Style
from wallet_cli.cli.progress import progress, telling_how_far
from wallet_cli.domain.ids import TypedWallet
from wallet_cli.errors import InvalidInput

BEGINS_ANEW = "run it again: it starts from the beginning"


def _so_far(_what: str, done: int, total: int | None) -> tuple[str, str]:
    if not done:
        return "nothing was found wrong so far", BEGINS_ANEW
    of = "" if total is None else f" of {total:,}"
    return f"{done:,}{of} transactions are checked, and nothing was found wrong", BEGINS_ANEW


def verify(
    ledger: LedgerApi,
    style: Style,
    hand: Hand,
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="Only this wallet.", show_default="all")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="SEAL",
            help="Check that everything in this seal is still in the ledger.",
            show_default=False,
        ),
    ] = None,
    receipt: Annotated[
        str | None,
        typer.Option(
            "--receipt",
            metavar="FILE",
            help="Check that what this receipt proves is still in the ledger.",
            show_default=False,
        ),
    ] = None,
    public: Annotated[
        str | None,
        typer.Option("--public", metavar="KEY", help="The public key of its maker, or a file.", show_default="yours"),
    ] = None,
) -> Record:
    """Reads one snapshot, while others write. A seal or receipt that another person made is checked with their public
    key, which `wallet seal --public` prints for them. Get it from them. The key inside a seal proves nothing:
    anybody can put one there.

    Examples:
        wallet verify
        wallet verify 9886977544
        wallet verify --receipt receipt.json
        wallet verify --against november.seal --public key.txt
        wallet verify -q && echo "the books are right"
    """
    if receipt is not None:
        if wallet is not None or against is not None:
            raise InvalidInput(
                "--receipt is checked by itself: leave the others out", hint="wallet verify --receipt FILE"
            )
        return Record(ledger.verify_receipt(receipt, public), value="transaction", kind="receipt")
    if against is None:
        if public is not None:
            raise InvalidInput("--public is for a seal or a receipt", hint="wallet verify --against SEAL --public KEY")
        name = None if wallet is None else _wallet(hand, wallet)
        with progress(style, "checking") as bar, telling_how_far(bar, _so_far) as watch:
            answer = ledger.verify(name, lambda done, total: watch("checking", done, total))
        return Record(answer, value="transactions", kind="verification")
    if wallet is not None:
        raise InvalidInput("a seal is of the whole ledger: leave WALLET out", hint="wallet verify --against SEAL")
    return Record(ledger.verify_against(against, public), value="transactions", kind="verification")


def _wallet(hand: Hand, text: str) -> TypedWallet:
    try:
        return hand.wallet(text)
    except InvalidInput as error:
        if Path(text).is_file():
            error.hint = f"did you mean --against {text}?"
        raise

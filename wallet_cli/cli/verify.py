"""`wallet verify`"""

from __future__ import annotations

from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.output import Record
from wallet_cli.domain.ids import parse_wallet


def verify(
    ledger: LedgerApi,
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="One wallet alone.", show_default="all")
    ] = None,
) -> Record:
    """
    Examples:
        wallet verify
        wallet verify 9886977544
        wallet verify -q && echo "the books are right"
    """
    return Record(ledger.verify(None if wallet is None else parse_wallet(wallet)), value="transactions")

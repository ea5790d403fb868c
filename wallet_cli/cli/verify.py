"""`wallet verify`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.output import Record
from wallet_cli.domain.ids import parse_wallet
from wallet_cli.errors import InvalidInput


def verify(
    ledger: LedgerApi,
    flags: Mapping[str, str],
    wallet: Annotated[
        str | None, typer.Argument(metavar="[WALLET]", help="One wallet alone.", show_default="all")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="SEAL", help="A seal: what it names is there still.", show_default=False),
    ] = None,
) -> Record:
    """Reads one snapshot, while others write.

    Examples:
        wallet verify
        wallet verify 9886977544
        wallet verify -q && echo "the books are right"
    """
    if against is None:
        return Record(ledger.verify(None if wallet is None else parse_wallet(wallet)), value="transactions")
    if wallet is not None:
        raise InvalidInput("a seal is of the whole ledger: leave WALLET out", hint="wallet verify --against SEAL")
    from wallet_cli.cli.seal import ledger_here
    from wallet_cli.operations import seals

    with ledger_here(flags) as here:
        return Record(seals.verify_against(here, seals.read(against)), value="transactions")

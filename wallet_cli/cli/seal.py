"""`wallet seal` and `wallet receipt`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from wallet_cli import settings
from wallet_cli.cli.output import Document, Record, json_text, notice
from wallet_cli.domain.ids import parse_transaction_id
from wallet_cli.domain.purpose import Purpose
from wallet_cli.errors import InvalidInput
from wallet_cli.paths import typed_path

if TYPE_CHECKING:
    from wallet_cli.operations.context import Ledger
    from wallet_cli.operations.seals import Sealed


def seal(
    flags: Mapping[str, str],
    target: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The new file of the seal.", show_default="no file")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Print the public half of your key, and make no seal.")
    ] = False,
) -> Record:
    """The ledger is verified first. The root that is printed stands for all of it: send it to somebody, or print it.
    Keep the file where the ledger is not: `wallet verify --against FILE` finds what was changed or taken away since.

    Examples:
        wallet seal november.seal
        wallet seal --public -q
    """
    from wallet_cli.operations import seals

    if public:
        if target is not None:
            raise InvalidInput("--public makes no seal: leave FILE out", hint="wallet seal --public")
        _chosen_here(flags)
        return Record({"public_key": seals.public_key()}, value="public_key")
    with ledger_here(flags, to_seal=True) as ledger:
        sealed = seals.seal(ledger)
        if target is not None:
            seals.write(ledger, sealed, typed_path(target))
        else:
            seals.note(ledger)  # whoever keeps what is printed has it
    return Record(sealed.head, value="root", kind="seal", card={**sealed.head, "file": target})


def receipt(
    flags: Mapping[str, str],
    id_: Annotated[str, typer.Argument(metavar="ID", help="A transaction id, such as 1-17.", show_default=False)],
    sealed_in: Annotated[
        str | None,
        typer.Option("--seal", metavar="FILE", help="The seal that it is proven by.", show_default="a new one"),
    ] = None,
) -> Document:
    """The receipt is JSON. It proves that the transaction is in the sealed ledger, and says nothing of others; the
    page on seals in the documentation has the lines that check it.

    Examples:
        wallet receipt 1-2 > receipt.json
        wallet receipt 1-2 --seal november.seal > receipt.json
    """
    from wallet_cli.operations import seals, transactions

    name = parse_transaction_id(id_)
    with ledger_here(flags, to_seal=sealed_in is None) as ledger:
        transactions.show(ledger, name)  # before all is sealed for it
        sealed: Sealed = seals.seal(ledger) if sealed_in is None else seals.read(sealed_in)
        answer = seals.receipt(ledger, name, sealed)
    return Document([json_text(answer) + "\n"])


def _chosen_here(flags: Mapping[str, str]) -> settings.Settings:
    """The settings. Raises InvalidInput for a ledger on another machine, where the key of its seals is."""
    from wallet_cli.remote import is_remote, sealed_there

    chosen = settings.load(flags, notify=notice)
    if is_remote(chosen.db):
        raise sealed_there()
    return chosen


@contextmanager
def ledger_here(flags: Mapping[str, str], *, to_seal: bool = False) -> Iterator[Ledger]:
    """The ledger of the settings, to read; of an older schema, it is migrated `to_seal` it. Raises InvalidInput for one
    on another machine.
    """
    from wallet_cli.operations.context import migrate_older, open_ledger

    chosen = _chosen_here(flags)
    if to_seal:
        migrate_older(chosen, notice)
    with open_ledger(chosen, notice, purpose=Purpose.READ) as ledger:
        yield ledger

"""`wallet use`: the wallet that is meant where a command that reads names none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from wallet_cli.api import LedgerApi
from wallet_cli.cli.by_hand import Hand
from wallet_cli.cli.output import Record
from wallet_cli.cli.used_wallet import forget, keep, path_of, used_in
from wallet_cli.domain.ids import UserId
from wallet_cli.domain.model import ACTIVE
from wallet_cli.errors import InvalidInput


def use(
    ledger: LedgerApi,
    hand: Hand,
    wallet: Annotated[
        str | None,
        typer.Argument(
            metavar="[WALLET]", help="USER, USER/TYPE or wN: 9886977544, 1/savings.", show_default="show which it is"
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Choose no wallet.")] = False,
) -> Record:
    """It is kept in your own state folder, for this ledger alone. A command that changes something asks first.

    Examples:
        wallet use 9886977544                       # then: wallet balance
        wallet use                                  # which is it?
        wallet use --clear
    """
    if clear and wallet is not None:
        raise InvalidInput("--clear and a wallet contradict each other", hint="give one of them")
    path = path_of(ledger)
    if clear:
        forget(path)
        return Record({"wallet": None, "id": None}, value="wallet", card=_card(ledger, None))
    if wallet is None:
        named = used_in(ledger)
        found = None if named is None else ledger.balance(named)
    else:
        found = ledger.balance(hand.wallet(wallet))
        keep(path, found["wallet"], found["created_at"])
    answer = {name: None if found is None else found[name] for name in ("wallet", "id")}
    return Record(answer, value="wallet", card=_card(ledger, found))


def _card(ledger: LedgerApi, found: Mapping[str, object] | None) -> Mapping[str, object]:
    if found is None:
        return {"wallet": "none; `wallet use WALLET` sets one"}
    user = ledger.user(UserId(int(str(found["user_id"]))))
    card = {"wallet": found["wallet"], "name": user["name"], "phone": user["phone_e164"], "currency": found["currency"]}
    return card if found["status"] == ACTIVE else card | {"status": found["status"]}

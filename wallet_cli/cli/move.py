"""`wallet move`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from wallet_cli import settings
from wallet_cli.cli.by_hand import be_sure, can_ask
from wallet_cli.cli.command import YesOption
from wallet_cli.cli.output import Record, Style, notice
from wallet_cli.cli.progress import progress, telling_how_far
from wallet_cli.errors import InvalidInput, shown_url
from wallet_cli.operations import move as moving

NOT_YET = (
    "run it again; if the old ledger says that it is being moved, `wallet move --cancel` lets it take writes again"
)


def _so_far(what: str, done: int, total: int | None) -> tuple[str, str]:
    if not what:
        return "no row was copied", NOT_YET
    if what == "copying" and total:
        told = f"at least {done:,} of {total:,} rows are copied"
    else:
        told = "all rows are copied, and are not yet proven the same"
    return f"{told}; the old ledger takes no writes", moving.GO_ON


def move(
    flags: Mapping[str, str],
    style: Style,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DB", help="The new ledger: a path or URL.", show_default=False)
    ] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the move: the old ledger takes writes again.")
    ] = False,
    yes: YesOption = False,
) -> Record:
    """
    Examples:
        wallet move --to /srv/wallet/wallet.db
        wallet move --to 'postgresql://wallet@db.example.org/wallet'
        wallet move --cancel                        # refused where no move has begun (exit 2)
    """
    chosen = settings.load(flags, notify=notice)
    if cancel:
        return Record(moving.cancel(chosen, to, notice), value="to")
    if not to:
        raise InvalidInput("missing destination", hint="wallet move --to DB")
    if not yes and can_ask(flags):
        be_sure(f"Move {shown_url(chosen.db)} to {shown_url(to)}? The old one then takes no more writes.")
    with progress(style, "moving") as bar, telling_how_far(bar, _so_far) as watch:
        return Record(moving.move(chosen, to, notice, watch), value="to")

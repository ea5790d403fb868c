"""`wallet config show`"""

from __future__ import annotations

from collections.abc import Mapping

from wallet_cli import settings
from wallet_cli.cli.output import Listing, notice


def show(flags: Mapping[str, str]) -> Listing:
    from wallet_cli.operations.context import known_facts

    chosen = settings.load(flags, notify=notice)
    return Listing(chosen.within(known_facts(chosen)).shown(), ("name", "value", "source"), value="value")

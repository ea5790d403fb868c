"""`wallet config show`"""

from __future__ import annotations

from collections.abc import Mapping

from wallet_cli import settings
from wallet_cli.cli.output import Listing, notice


def show(flags: Mapping[str, str]) -> Listing:
    """Print each setting and where it came from."""
    return Listing(settings.load(flags, notify=notice).shown(), ("name", "value", "source"), value="value")

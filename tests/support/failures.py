"""The errors that a command may end with, as the program declares them; those of HTTP alone are left out."""

from __future__ import annotations

from collections.abc import Iterator

from wallet_cli import errors
from wallet_cli.errors import WalletError


def tree(root: type[WalletError] = WalletError) -> Iterator[type[WalletError]]:
    """All that are more particular than `root`, each before its own."""
    for each in root.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from tree(each)

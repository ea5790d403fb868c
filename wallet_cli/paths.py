"""Paths as people type them."""

from __future__ import annotations

from pathlib import Path

from wallet_cli.errors import InvalidInput, shown


def typed_path(text: str) -> Path:
    """The path that a text names, with the folder of `~` or `~USER` in its place. Raises InvalidInput."""
    if "\0" in text:
        raise InvalidInput(f"not a path: {shown(text)}", hint="a NUL is in it")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user, or nobody knows where home is
        hint = f"{shown(text.split('/')[0])} is no folder here: give the whole path"
        raise InvalidInput(f"not a path: {shown(text)}", hint=hint) from None

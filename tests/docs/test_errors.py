"""docs/errors.md has a row for every code, with its exit code and whether it may be sent again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from wallet_cli import errors
from wallet_cli.errors import WalletError

TABLE = Path(__file__).parent.parent.parent / "docs" / "errors.md"


def told(error: type[WalletError]) -> Iterator[tuple[str, int, bool]]:
    """The codes that a command may end with; those of HTTP alone are in its own reference."""
    for each in error.__subclasses__():
        named = "code" in vars(each) or not each.__subclasses__()
        if named and each.__module__ == errors.__name__:
            yield each.code, each.exit_code, each.retryable
        yield from told(each)


def test_every_code_is_told_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|", TABLE.read_text("utf-8"), re.MULTILINE)
    found = [(code, int(exit_code), retry == "yes") for code, exit_code, retry in rows]
    assert sorted(found) == sorted(set(told(WalletError)))

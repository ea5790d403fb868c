"""docs/errors.md has a row for every code, with its exit code and whether it may be sent again."""

from __future__ import annotations

import re
from pathlib import Path

from support.failures import tree

TABLE = Path(__file__).parent.parent.parent / "docs" / "errors.md"


def test_every_code_is_told_as_it_is() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|", TABLE.read_text("utf-8"), re.MULTILINE)
    told = [(code, int(exit_code), retry == "yes") for code, exit_code, retry in rows]
    named = [each for each in tree() if "code" in vars(each) or not each.__subclasses__()]
    assert sorted(told) == sorted({(each.code, each.exit_code, each.retryable) for each in named})

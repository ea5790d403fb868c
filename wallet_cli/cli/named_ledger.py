"""The ledger that a command line names: what is suggested after it is about the same one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from wallet_cli.cli.tree import OF_NO_LEDGER, each
from wallet_cli.errors import shown_url

WITH_VALUES = ("--db", "--ledger", "--env-file", "--color")
"""Options before the command that have one."""
NAMING = ("env-file", "db", "ledger")

NOT_TO_TYPE = (*OF_NO_LEDGER, "serve")
"""Commands that stay as they are: a server that is spoken of has its own ledger."""

_COMMANDS = "|".join(words for words, _ in each() if words.partition(" ")[0] not in NOT_TO_TYPE)
_SHOWN = re.compile(rf"(^|`|[:;,?] |\bthen |\bor )wallet (?=(?:{_COMMANDS})(?![\w-]))(?!(?:[a-z]+ )+--help)")


def flags_of(arguments: Sequence[str]) -> Mapping[str, str]:
    """What a command line that may be too wrong to parse says before the command, of the ledger."""
    found: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("-"):
            break
        if name in WITH_VALUES:
            found[name.removeprefix("--")] = value if equals else next(rest, "")
    return {name.replace("-", "_"): found[name] for name in NAMING if found.get(name)}


def on_it(text: str, flags: Mapping[str, str]) -> str:
    """A hint or suggestion whose command lines name the ledger as these flags do."""
    given = ((name, flags.get(name.replace("-", "_"))) for name in NAMING)
    options = "".join(f"--{name} {shlex.quote(shown_url(value))} " for name, value in given if value)
    return _SHOWN.sub(lambda match: f"{match[1]}wallet {options}", text) if options else text

"""What each command answers as JSON, and the JSON Schemas of that, which lie in wallet_cli/schemas.

The schemas are written by scripts/reference.py, from the TypedDicts of operations/fields.py: `msgspec`, which makes
them, is not installed with every `wallet`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """The schemas of an answer, by their names in fields.py: with `--json`, and of each line with `-o jsonl`."""

    whole: str
    line: str
    is_list: bool = False
    """Whether `--json` is a list of what `line` says."""


def _one(name: str) -> Answer:
    return Answer(name, name)


ANSWERS: Mapping[str, Answer] = {
    "register": _one("User"),
    "users": Answer("UserPage", "User"),
    "create": _one("Wallet"),
    "wallet create": _one("Wallet"),
    "list": Answer("WalletPage", "Wallet"),
    "balance": _one("WalletThen"),
    "limits": _one("Wallet"),
    "freeze": _one("Wallet"),
    "unfreeze": _one("Wallet"),
    "close": _one("Wallet"),
    "find": Answer("Found", "FoundLine"),
    "use": _one("UsedWallet"),
    "credit": _one("Transaction"),
    "debit": _one("Transaction"),
    "history": Answer("EntryPage", "Entry"),
    "tx add": _one("Transaction"),
    "tx show": _one("TransactionDetail"),
    "tx list": Answer("TransactionPage", "Transaction"),
    "tx total": _one("Total"),
    "tx reverse": _one("Transaction"),
    "transfer": _one("Transfer"),
    "hold add": _one("Hold"),
    "hold capture": _one("Transaction"),
    "hold void": _one("Hold"),
    "hold list": Answer("HoldPage", "Hold"),
    "statement": Answer("Statement", "Transaction"),
    "chart": Answer("Chart", "ChartFlow"),
    "import": _one("ImportSummary"),
    "ledger show": _one("LedgerHere"),
    "ledger set": _one("LedgerHere"),
    "audit": Answer("EventPage", "Event"),
    "verify": _one("Verification"),
    "seal": _one("Seal"),
    "receipt": _one("Receipt"),
    "backup": _one("Backup"),
    "restore": _one("Restored"),
    "doctor": Answer("Examination", "Finding"),
    "move": _one("Move"),
    "key create": _one("CreatedKey"),
    "key list": Answer("OperatorKeys", "OperatorKey"),
    "key revoke": _one("OperatorKey"),
    "token": _one("Token"),
    "help": _one("Help"),
    "commands": Answer("Catalogue", "CommandAbout"),
    "init": _one("NewLedger"),
    "config path": _one("ConfigPath"),
    "config show": Answer("Setting", "Setting", is_list=True),
    "config get": _one("Setting"),
    "config set": _one("Setting"),
    "config unset": _one("Setting"),
    "config edit": _one("ConfigEdited"),
}
"""What is answered, by the words of the command. Add a command here, and run scripts/fix."""

NO_JSON = {
    "export": "its lines are those that `import` reads: docs/moving-data.md",
    "serve": "it answers over HTTP: docs/http.md",
    "completion": "it is a script for a shell",
    "demo": "it is for people",
    "mcp": "it answers over stdio: docs/agents.md",
}
"""Commands that are not there, and why."""

OF_OVERVIEW = "OverviewHere"
"""What a bare `wallet --json` answers."""

OF_ERRORS = ("Error", "RefusedImportLine")
"""What stderr has with JSON: an error, and each line that an import refused."""


def names() -> list[str]:
    """All schemas that there are."""
    found = {name for answer in ANSWERS.values() for name in (answer.whole, answer.line)}
    return sorted(found.union(OF_ERRORS, [OF_OVERVIEW]))


def file_name(name: str) -> str:
    """`transaction-page.json` of TransactionPage."""
    return re.sub(r"(?<=.)([A-Z])", r"-\1", name).lower() + ".json"


def schema(name: str) -> dict[str, Any]:
    """A schema, by its name in fields.py."""
    import json

    found: dict[str, Any] = json.loads((files("wallet_cli") / "schemas" / file_name(name)).read_text("utf-8"))
    return found

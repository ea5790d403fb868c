"""Write docs/reference.md from the help of the commands, so that the two cannot differ.

python scripts/reference.py            writes it
python scripts/reference.py --check    exits 1 if it is not what would be written
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Plain help, as wide everywhere. Typer looks at these when it is imported.
os.environ["TYPER_USE_RICH"] = "0"
os.environ["COLUMNS"] = "100"

from wallet_cli.cli.app import TREE, main
from wallet_cli.cli.command import Group

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"
HEAD = """\
# Reference

What each command says with `--help`. This page is written by `python scripts/reference.py`; change the help, not the
page. What the words mean (USER, WALLET, AMOUNT, TIME), and what goes out and comes back, is under
[words](#words), [answers](#answers) and [errors](#errors) below.
"""
TAIL = """\
## Words

- **USER**: a phone number, or a user id. What starts with `+` or has 7 digits or more is a phone number (spaces,
  dashes and brackets do not count); a shorter run of digits is an id; `id:N` is always an id.
- **WALLET**: `USER` or `USER/TYPE`; the type is `main` when left out, else 1 to 32 of `a-z A-Z 0-9 _ . -`.
- **AMOUNT**: digits with at most one point, greater than 0, no more fraction digits than the currency has, no
  exponent, no separators, at most 10^15 minor units.
- **Currency**: an ISO 4217 code, or `CODE/N` for any other unit: 3 to 10 of `A-Z 0-9`, and N fraction digits, 0 to 8.
- **TIME**: ISO 8601, from a year to a microsecond. With no offset, it is in the `timezone` setting (the system's,
  unless set). As the end of a period it covers all of the unit that it is written in: `--to 2024-04-30` includes that
  whole day. Bounds are echoed in UTC, an end as the last microsecond inside.
- **Transaction id**: `W-N`, the N-th transaction of wallet W. N runs 1, 2, 3 … without a gap.
- **Key**: 1 to 255 printable characters, unique within the wallet. The same key with the same request returns the
  first answer, with `"replayed": true`, and applies nothing; with another request it is refused.

## Answers

Data goes to stdout, everything else to stderr. Amounts are strings with exactly the currency's fraction digits; times
are UTC, `2026-11-22T10:00:00.000000Z`. Fields may be added; none is renamed or dropped.

| answer | of | fields |
|---|---|---|
| user | `register` | `id, phone_number, phone_e164, name, created_at` |
| wallet | `create`, `balance` | `id, user_id, type, currency, status, balance, held, available, minimum_balance, \
transactions, created_at`, and `at` with `--at` |
| transaction | `tx add` | `id, wallet_id, seq, kind, is_credit, amount, balance, currency, at, note, key`, and \
`replayed` where the key had been used |
| list | `tx list` | `transactions, next_cursor`; `jsonl` and `csv` stream one transaction a line |
| total | `tx total` | `wallet_id, currency, from, to, opening_balance, credit_total, debit_total, credit_count, \
debit_count, net, closing_balance` |
| check | `verify` | `ok, wallets, transactions` |
| settings | `config show` | a list of `name, value, source` |

## Errors

See [reading errors and exit codes](errors.md).
"""


def paths() -> Iterator[list[str]]:
    """Every command, as the words that call it; the root first."""
    yield []
    for name, what in TREE.items():
        if isinstance(what, Group):
            yield from ([name, sub] for sub in what.commands)
        else:
            yield [name]


def help_of(path: list[str]) -> str:
    """What a command prints with --help."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main([*path, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def reference() -> str:
    """The text of the page."""
    commands = "\n".join(f"## {' '.join(['wallet', *path])}\n\n```text\n{help_of(path)}\n```\n" for path in paths())
    return f"{HEAD}\n{commands}\n{TAIL}"


if __name__ == "__main__":
    text = reference()
    if "--check" not in sys.argv:
        REFERENCE.write_text(text, "utf-8")
    elif not REFERENCE.is_file() or REFERENCE.read_text("utf-8") != text:
        sys.exit("docs/reference.md is stale: run python scripts/reference.py")

"""`wallet demo`: the whole story on a scratch ledger, each command as a person would type it before its result."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import typer

from wallet_cli.cli.output import Format, print_error
from wallet_cli.errors import InsufficientFunds, Interrupted, was_interrupted

STORY = (
    ("A user registers with a phone number, once.", "wallet register 9886977544 --name Asha"),
    ("The user opens a wallet that may not go below 20.", "wallet create 9886977544 --minimum-balance 20"),
    ("Money comes in. The key makes it safe to send again …", "wallet credit 9886977544 500 --key salary-1"),
    ("… and sent again, it is applied once.", "wallet credit 9886977544 500 --key salary-1"),
    ("Money goes out …", "wallet debit 9886977544 120.50 --note 'Groceries'"),
    ("… but never below the minimum.", "wallet debit 9886977544 400"),
    ("One wallet of each type; points are a currency too.", "wallet create 9886977544/points --currency PTS/0"),
    ("Points are whole numbers.", "wallet credit 9886977544/points 250"),
    ("Another wallet of the same user …", "wallet create 9886977544/savings -q"),
    ("… and money moves to it, in one step.", "wallet transfer 9886977544 9886977544/savings 100 -q"),
    ("Keep 50 for a later debit …", "wallet hold add 9886977544 50 --note Taxi -q"),
    ("… and take what it came to; the rest is free again.", "wallet hold capture 1-h1 42"),
    (
        "A mistake is taken back by a new transaction: nothing is ever edited.",
        "wallet tx reverse 1-2 20.50 --note 'One pack was torn'",
    ),
    ("What is in it?", "wallet balance 9886977544"),
    ("What happened?", "wallet tx list 9886977544 --limit 3"),
    ("All of it on one page; -o html makes one for paper.", "wallet statement 9886977544"),
    ("A script asks for the value alone, or for JSON.", "wallet balance 9886977544 -q"),
    ("", "wallet balance 9886977544/points --json"),
    ("Every total and every hash, worked out again.", "wallet verify"),
)


REFUSED = "wallet debit 9886977544 400"
"""What is refused in the story."""

ALONE = ("--no-input", "--no-pager")
"""Nothing stops the story."""

MADE_WITH = {
    "WALLET_CURRENCY": "INR", "WALLET_PHONE_REGION": "IN", "MINIMUM_BALANCE": "0", "WALLET_TIMEZONE": "system",
}  # fmt: skip
"""The settings of its ledger, whatever those of the person are."""


def demo() -> None:
    """
    Examples:
        wallet demo
        wallet demo | less
    """
    from wallet_cli.cli.app import run

    # A refusal is part of the story: it stands where a person would see it.
    print("# A story on a scratch ledger, which is deleted afterwards.")
    with _ended_by_a_hang_up(), tempfile.TemporaryDirectory(prefix="wallet-demo-") as folder, _made_with(MADE_WITH):
        for why, line in STORY:
            print(f"\n# {why}" if why else "")
            print(f"$ {line}", flush=True)
            try:
                with redirect_stderr(sys.stdout):
                    code = run([*ALONE, "--db", str(Path(folder) / "demo.db"), *shlex.split(line)[1:]])
            except InsufficientFunds as error:
                if line != REFUSED:
                    raise
                with redirect_stderr(sys.stdout):
                    print_error(error, Format.table)
            except (Exception, KeyboardInterrupt) as error:
                if was_interrupted(error):
                    raise Interrupted("interrupted; the scratch ledger is deleted") from None
                raise
            else:
                if code:
                    raise typer.Exit(code)
    print("\n# That was all of it. A ledger of your own begins with: wallet register PHONE")


@contextmanager
def _made_with(variables: dict[str, str]) -> Iterator[None]:
    """Run with these variables in the environment, over all that a file says."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text


@contextmanager
def _ended_by_a_hang_up() -> Iterator[None]:
    """Have a closed terminal, and SIGTERM, end the story as Ctrl-C does: the folder is deleted."""
    known = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in known}
    for each in known:
        if before[each] is signal.SIG_DFL:
            signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each in known:
            signal.signal(each, before[each])

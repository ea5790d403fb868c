"""`wallet statement` where a transcript cannot show it: at a terminal, without the PDF package, and when it is long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli
from support.cli import Outcome

from wallet_cli.cli.screen import view
from wallet_cli.installing import install, this_program
from wallet_cli.operations.context import Ledger

Wallet = Callable[[str], Outcome]

SLOW = ("rich", "sqlalchemy", "sqlmodel", "pydantic", "fpdf", "wallet_cli.documents")


@pytest.fixture(autouse=True)
def five_lines(wallet: Wallet) -> None:
    for line in ("register 9886977544", "create 1", *["tx add 1 5 --credit"] * 5):
        assert wallet(line).code == 0


def test_a_long_table_is_several_each_with_its_head(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = wallet("statement 1").out
    monkeypatch.setattr(view, "ROWS_A_TABLE", 2)
    parted = wallet("statement 1").out
    assert (whole.count("id  "), parted.count("id  ")) == (whole.count("id  "), whole.count("id  ") + 2)
    assert [line for line in parted.splitlines() if line.startswith("1-")] == [
        line for line in whole.splitlines() if line.startswith("1-")
    ]


def test_a_pdf_is_not_thrown_at_a_terminal(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli._Text, "isatty", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1")
    refused = wallet("statement 1 -o pdf")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "error: a PDF cannot be shown in a terminal",
        "hint: write it to a file: … -o pdf > statement.pdf",
    ]


def test_a_pdf_without_its_package_says_what_to_install(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    refused = wallet("statement 1 -o pdf")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "error: a PDF needs a package that is not installed: fpdf",
        "hint: " + install(this_program("pdf")),
    ]


@pytest.mark.parametrize("output", ["json", "html", "csv", "table", "jsonl"])
def test_a_line_that_is_gone_is_told_before_anything_is_printed(wallet: Wallet, ledger: Ledger, output: str) -> None:
    """csv and jsonl are the lines alone, as they are: `verify` is for those."""
    ledger.store.connection.execute("DELETE FROM transactions WHERE seq = 3")
    told = wallet(f"statement 1 -o {output}")
    if output in ("csv", "jsonl"):
        assert told.code == 0
        return
    assert (told.code, told.out) == (7, "")
    assert "do not add up" in told.err


@pytest.mark.parametrize("output", ["json", "csv", "jsonl"])
def test_for_scripts_nothing_slow_is_imported(output: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom wallet_cli.cli.app import main\n"
        f"assert main(['statement', '1', '-o', {output!r}]) == 0\n"
        f"assert not [name for name in {SLOW!r} if name in sys.modules], sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Start-up: whole `wallet` processes against a Typer app of the same version that only prints.

Limit: 1.2 × each, and for help 1.35 × the help of that app. A word that is completed has to be there before somebody
notices. Beside it, the least that a SELECT through SQLModel takes.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

from common import done, figure, interleaved, median, run, scratch, wallet_command

LIMIT = 1.2
HELP_LIMIT = 1.35
COMPLETION_MS = 150

# A module, so that it has byte code as the wallet has; the script only calls it.
HELLO = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "world") -> None:
    print(f"hello {name}")
"""
HELLO_SCRIPT = "from hello_app import app\n\napp()\n"

SQLMODEL = """
import sys

from sqlmodel import Field, Session, SQLModel, create_engine, select


class Wallet(SQLModel, table=True):
    __tablename__ = "wallets"
    id: int = Field(primary_key=True)
    currency: str


def main() -> None:
    with Session(create_engine("sqlite:///" + sys.argv[1])) as session:
        print(session.exec(select(Wallet)).one().currency)
"""
SQLMODEL_SCRIPT = "from sqlmodel_app import main\n\nmain()\n"


def main() -> None:
    with scratch() as folder:
        wallet = wallet_command()
        for arguments in (["register", "9886977544"], ["create", "1"], ["tx", "add", "1", "100", "--credit"]):
            subprocess.run([*wallet, *arguments], check=True, capture_output=True)
        for name, text in (
            ("hello_app", HELLO),
            ("hello", HELLO_SCRIPT),
            ("sqlmodel_app", SQLMODEL),
            ("sqlmodel_select", SQLMODEL_SCRIPT),
        ):
            (folder / f"{name}.py").write_text(text)
        compileall.compile_dir(folder, quiet=1)

        def script(name: str, *arguments: str) -> float:
            return run([sys.executable, str(folder / f"{name}.py"), *arguments])

        found = interleaved(
            {
                "hello": lambda: script("hello"),
                "balance": lambda: run([*wallet, "balance", "1", "--json"]),
                "tx add": lambda: run([*wallet, "tx", "add", "1", "1", "--credit", "--json"]),
                "hello --help": lambda: script("hello", "--help"),
                "wallet --help": lambda: run([*wallet, "--help"]),
                "tx add --help": lambda: run([*wallet, "tx", "add", "--help"]),
                "completion": lambda: run(["env", "_WALLET_COMPLETE=fish", *wallet, "balance", "98"]),
                "python": lambda: run([sys.executable, "-c", "pass"]),
                "sqlmodel": lambda: script("sqlmodel_select", str(Path(folder) / "wallet.db")),
            }
        )
    times = {name: median(values) for name, values in found.items()}
    figure("an interpreter that does nothing", times["python"], "ms")
    figure("a Typer app that only prints", times["hello"], "ms")
    figure("wallet balance W --json", times["balance"], "ms")
    figure("wallet tx add W 1 --credit --json", times["tx add"], "ms")
    figure("the help of the Typer app", times["hello --help"], "ms")
    figure("wallet --help", times["wallet --help"], "ms")
    figure("wallet balance 98, and TAB", times["completion"], "ms", at_most=COMPLETION_MS)
    figure("a SELECT through SQLModel", times["sqlmodel"], "ms")
    figure("balance / Typer app", times["balance"] / times["hello"], "x", at_most=LIMIT)
    figure("tx add / Typer app", times["tx add"] / times["hello"], "x", at_most=LIMIT)
    figure("wallet --help / that app's", times["wallet --help"] / times["hello --help"], "x", at_most=HELP_LIMIT)
    figure("wallet tx add --help / that app's", times["tx add --help"] / times["hello --help"], "x", at_most=HELP_LIMIT)
    figure("completion / Typer app", times["completion"] / times["hello"], "x")
    figure("SQLModel / Typer app", times["sqlmodel"] / times["hello"], "x")
    done()


if __name__ == "__main__":
    main()

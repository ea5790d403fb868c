"""History costs nothing: each command on a wallet of 1,000,000 transactions against one of 1,000.

Limit: 1.15 × each. Beside it, hledger, which reads its whole journal, where it is installed.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from pathlib import Path

from common import done, figure, interleaved, ledger, median, open_wallet, run, scratch, wallet_command

from wallet_cli.domain.commands import Post
from wallet_cli.domain.period import format_time

LIMIT = 1.15
SIZES = {"small": 1_000, "large": 1_000_000}
BATCH = 1_000
HLEDGER_SIZES = (1_000, 10_000, 100_000)


def fill(path: Path, size: int) -> tuple[str, str]:
    """Make a ledger of one wallet; the times of two transactions, a quarter and three quarters on."""
    open_wallet(path)
    with ledger(path) as opened:
        begun = time.perf_counter()
        for first in range(0, size, BATCH):
            count = min(BATCH, size - first)
            batch = [Post(1, n % 3 != 2, 100 + n % 50) for n in range(first, first + count)]
            opened.executor.run(batch, "filling")
        figure(f"filling a wallet of {size:,}, in batches of {BATCH:,}", size / (time.perf_counter() - begun), "/s")
        found = [opened.store.transaction(1, size * part // 4) for part in (1, 3)]
        early, late = (format_time(each.at_us) for each in found if each is not None)
        return early, late


def hledger_journal(path: Path, size: int) -> None:
    lines = (f"2026-01-01 t{n}\n  assets:wallet  INR 1.00\n  income\n\n" for n in range(size))
    path.write_text("".join(lines))


def beside_hledger(folder: Path) -> None:
    if shutil.which("hledger") is None:
        print("hledger is not installed")
        return
    for size in HLEDGER_SIZES:
        journal = folder / f"{size}.journal"
        hledger_journal(journal, size)
        figure(f"hledger bal, {size:,}", median([run(["hledger", "-f", str(journal), "bal"]) for _ in range(3)]), "ms")


def main() -> None:
    with scratch() as folder:
        command = wallet_command()
        periods = {}
        for name, size in SIZES.items():
            (folder / name).mkdir()
            periods[name] = fill(folder / name / "wallet.db", size)
        lines = {
            "balance": lambda early, late: ["balance", "1", "--json"],
            "balance --at": lambda early, late: ["balance", "1", "--at", early, "--json"],
            "tx add": lambda early, late: ["tx", "add", "1", "1", "--credit", "--json"],
            "tx list": lambda early, late: ["tx", "list", "1", "--json"],
            "tx list --from --to": lambda early, late: ["tx", "list", "1", "--from", early, "--to", late, "--json"],
            "tx total": lambda early, late: ["tx", "total", "1", "--from", early, "--to", late, "--json"],
        }
        for name, line in lines.items():
            sides = {
                side: [*command, "--db", str(folder / side / "wallet.db"), *line(*periods[side])] for side in SIZES
            }
            subprocess.run(sides["large"], check=True, capture_output=True)
            found = interleaved({side: functools.partial(run, arguments) for side, arguments in sides.items()})
            small, large = median(found["small"]), median(found["large"])
            print(f"{name}: {small:.1f} ms with {SIZES['small']:,}, {large:.1f} ms with {SIZES['large']:,}")
            figure(f"{name}, large / small", large / small, "x", at_most=LIMIT)
        beside_hledger(folder)
    done()


if __name__ == "__main__":
    main()

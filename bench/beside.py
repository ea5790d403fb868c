"""Writers beside a backup, a verification or a seal: their 99th percentile over HTTP, alone and beside each.

Limit: at most 2 × alone. 16 connections write as fast as they can to a ledger of 200,000 transactions, while the other
command runs again and again. All of it in one run, turn by turn. WALLET_BENCH_LINES sets another number of lines.

    apt-get install wrk
    pip install . '.[serve,seal]'
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from common import done, figure, quiet, scratch, wallet_command
from web import Bench, Load, Target

LINES = int(os.environ.get("WALLET_BENCH_LINES", "200000"))
CONNECTIONS, SECONDS, TURNS = 16, 8, 3
LIMIT = 2.0
BODY = '{"wallet_id": 1, "user_id": 1, "amount": "1", "is_credit": true}'

COMMANDS = {"backup": ("backup", "{}.db"), "verify": ("verify",), "seal": ("seal", "{}.seal")}


def main() -> None:
    quiet()
    with scratch() as folder:
        bench = Bench(folder)
        lines = folder / "lines.csv"
        rows = "".join(f"id:1/{number % 200},1,credit,k{number}\n" for number in range(LINES))
        lines.write_text("wallet,amount,kind,key\n" + rows)
        subprocess.run([*wallet_command(), "import", "--create", "-q", str(lines)], check=True)
        with bench.wallet() as (url, _):
            measure(bench.target(f"{url}/api/v1/transactions/create", BODY), folder)
    done()


def measure(writers: Target, folder: Path) -> None:
    found: dict[str, list[Load]] = {"alone": [], **{name: [] for name in COMMANDS}}
    runs = dict.fromkeys(COMMANDS, 0)
    for _ in range(TURNS):
        found["alone"].append(writers.load(CONNECTIONS, SECONDS))
        for name, command in COMMANDS.items():
            with again_and_again(folder, command) as ended:
                found[name].append(writers.load(CONNECTIONS, SECONDS))
            runs[name] += len(ended)
    alone = median(load.p99 for load in found["alone"])
    figure("writes a second, alone", median(load.rate for load in found["alone"]), "/s")
    figure("p99 of writers, alone", alone, "ms")
    for name in COMMANDS:
        p99 = median(load.p99 for load in found[name])
        figure(f"writes a second beside {name}, which ran {runs[name]} times", found[name][0].rate, "/s")
        figure(f"p99 of writers beside {name}", p99, "ms")
        figure(f"p99 of writers beside {name} / alone", p99 / alone, "x", at_most=LIMIT)


@contextmanager
def again_and_again(folder: Path, command: tuple[str, ...]) -> Iterator[list[int]]:
    """Run a command over and over in a `with` block; a list of the exit codes so far."""
    codes: list[int] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            target = folder / f"beside-{len(codes)}-{threading.get_ident()}-{os.urandom(4).hex()}"
            arguments = [each.format(target) for each in command]
            codes.append(subprocess.run([*wallet_command(), *arguments], capture_output=True, check=False).returncode)
            for made in folder.glob(f"{target.name}*"):
                made.unlink()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join()
    assert not any(codes), codes


if __name__ == "__main__":
    main()

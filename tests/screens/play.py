"""Plays the main screens, each after its command line, on a ledger that it fills first; in a process of its own.

The clock stands still but for a minute a command, from 2024-04-20 10:00 UTC on.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shlex
import sys
import time
from unittest import mock

FIRST_NS = 1_713_607_200 * 10**9

FILL = """
register 9886977544 --name 'Asha Rao'
register 9886977545 --name 'आशा कुमारी'
register 9886977546 --name 东京太郎
register 9886977547 --name 'محمد علي'
register 9886977548 --name 'Zoë 👍🏽'
register 9886977549
create 1 --minimum-balance 20
create 2
create 3 --currency JPY
create 4
create 5/points --currency PTS/0
create 6/dinars --currency KWD
create 1/savings
limits 1 --daily-debit 2500000
tx add 1 1234567.50 --credit --note Salary --key salary-2024-04 --at 2024-04-01T10:00
tx add 1 120.50 --debit --note 'Groceries at the corner shop, and a new umbrella' --at 2024-04-19T05:27:13
tx add 3 1500 --credit --note 給料
tx add 5/points 250 --credit
tx add 6/dinars 1.234 --credit
transfer 1 2 100 --note चाय
hold add 1 50 --note Taxi
hold capture 1-h1 42
hold add 1 70 --expires 2d
tx reverse 1-2 20.50 --note 'One umbrella was torn'
freeze 4
key create till
""".strip().splitlines()

SCREENS = """
balance 1

balance 2 --at 2024-04-10
balance 4
list
users
debit 1 19.99 --note Bread --key bread-1
debit 1 19.99 --note Bread --key bread-1
tx show 1-2
tx list 1 --limit 5
history --limit 5
find asha
use 1
tx list 5/points
tx total 1 --from 2024-04
transfer 1 1/savings 500
hold add 1 30 --note 'For the plumber, who comes on Monday morning'
hold list 1
limits 1
statement 1
tx list 4
create 2/savings
import rows.csv
verify
config show
key list
ledger show
tx list 1 --limit 1 --json
audit 1 --limit 8
""".strip().splitlines()

ROWS = "wallet,amount,kind,note\n2,500,credit,Gift\n2,20,debit,Tea\n2,1e3,debit,\n"


def main() -> None:
    from wallet_cli.cli.app import main as wallet
    from wallet_cli.domain import actors

    moments = itertools.count(FIRST_NS, 60 * 10**9)
    with open("rows.csv", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(ROWS)
    with (
        mock.patch.object(time, "time_ns") as clock,
        mock.patch.object(actors, "by_terminal", return_value="terminal mira"),
    ):
        for line in FILL:
            clock.return_value = next(moments)
            out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                assert wallet(shlex.split(line)) == 0, line
        for line in SCREENS:
            clock.return_value = next(moments)
            print(f"$ wallet {line}", flush=True)
            # Progress is shown where stderr is a terminal.
            err = io.StringIO() if line.startswith("import") else sys.stderr
            with contextlib.redirect_stderr(err):
                code = wallet(shlex.split(line))
            print(f"= {code}\n" if code else "", flush=True)
            sys.stderr.flush()


if __name__ == "__main__":
    main()

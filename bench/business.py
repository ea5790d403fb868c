"""A day's business: 16 processes, 200,000 random operations over 100 wallets, half of them on one hot wallet.

Transfers, holds, captures, voids, reversals, credits and debits, in turns of 1 to 20, beside two readers that audit
a snapshot five times a second. Checks what the tests check; prints how long it took.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from common import done, fact, figure, ledger, scratch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support import business

OPERATIONS = 200_000


def main() -> None:
    plan = business.Plan(OPERATIONS)
    with scratch() as folder:
        path = folder / "wallet.db"
        clock = business.start_clock()
        with ledger(path) as opened:
            business.prepare(opened, plan, clock)
        outcome = business.run(folder, plan, clock)
        with ledger(path) as opened:
            opened.executor.clock = clock
            problems = business.problems(opened, plan, outcome)
            ends = Counter(hold.status for hold in opened.store.holds_in_order())
        figure(f"{plan.writers} processes, {plan.wallets} wallets: operations", outcome.operations, "")
        figure("in", outcome.seconds, "s")
        figure("operations in a second", outcome.operations / outcome.seconds, "/s")
        figure("carried out", outcome.applied.total(), "")
        figure("refused", outcome.refused.total(), "")
        for status, count in sorted(ends.items()):
            figure(f"holds {status}", count, "")
        figure("snapshots audited meanwhile", outcome.snapshots, "")
        for problem in problems:
            print(problem)
        fact("money constant, floors, holds, snapshots, wallet verify", not problems)
    done()


if __name__ == "__main__":
    main()

"""Contention, to the letter: 16 shells, each of which runs `wallet tx add` 200 times, on one wallet.

Every command is a whole process. Checks what the tests check; prints how long it took.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import time
from decimal import Decimal

from common import done, fact, figure, scratch, wallet_command

SHELLS = 16
COMMANDS_EACH = 200


def main() -> None:
    drawn = random.Random(16)
    with scratch() as folder:
        wallet = wallet_command()

        def told(*arguments: str) -> str:
            return subprocess.run([*wallet, *arguments], check=True, capture_output=True, text=True).stdout

        told("register", "9886977544")
        told("create", "1")
        program = shlex.quote(wallet[0])
        shells = []
        begun = time.perf_counter()
        for shell in range(SHELLS):
            arguments = "\n".join(
                f"{drawn.randint(1, 1000) / 100:.2f} {drawn.choices(['--credit', '--debit'], [9, 10])[0]}"
                for _ in range(COMMANDS_EACH)
            )
            (folder / f"commands-{shell}").write_text(arguments + "\n")
            loop = f"while read amount kind; do {program} tx add 1 $amount $kind --json; echo $? >&3; done"
            files = f"<commands-{shell} >answers-{shell} 2>refusals-{shell} 3>codes-{shell}"
            shells.append(subprocess.Popen(["sh", "-c", f"{loop} {files}"], cwd=folder))
        for process in shells:
            process.wait()
        taken_s = time.perf_counter() - begun

        def lines(name: str) -> list[str]:
            return [line for shell in range(SHELLS) for line in (folder / f"{name}-{shell}").read_text().splitlines()]

        answers = sorted((json.loads(line) for line in lines("answers")), key=lambda answer: answer["seq"])
        refusals = [json.loads(line)["error"]["code"] for line in lines("refusals")]
        codes = lines("codes")
        balance = lowest = Decimal(0)
        adds_up = True
        for answer in answers:
            balance += Decimal(answer["amount"]) * (1 if answer["is_credit"] else -1)
            adds_up = adds_up and Decimal(answer["balance"]) == balance
            lowest = min(lowest, balance)
        listed = [json.loads(line) for line in told("tx", "list", "1", "-o", "jsonl").splitlines()]

        figure(f"{SHELLS} x {COMMANDS_EACH} whole processes", taken_s, "s")
        figure("commands in a second", len(codes) / taken_s, "/s")
        figure("applied", len(answers), "")
        figure("refused", len(refusals), "")
        fact("every command was carried out or refused", len(answers) + len(refusals) == SHELLS * COMMANDS_EACH)
        fact("some debits were refused, all for want of funds", set(refusals) == {"insufficient_funds"})
        fact("exit codes are 0 and 4", sorted(codes) == ["0"] * len(answers) + ["4"] * len(refusals))
        fact("seq has no gap", [answer["seq"] for answer in answers] == list(range(1, len(answers) + 1)))
        fact("what was acknowledged is there, once", listed[::-1] == answers)
        fact("the final balance is the sum", adds_up and Decimal(told("balance", "1", "-q")) == balance)
        fact("never below the minimum", lowest >= 0)
        fact("wallet verify", json.loads(told("verify", "--json"))["ok"])
    done()


if __name__ == "__main__":
    main()

"""Many at once: every command in a process of its own, all of them on one ledger."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from support import cli, processes
from support.engines import Address, Engine
from support.sizes import size

WORKERS = 16
COMMANDS_EACH = {"file": size(8, 200), "postgres": size(4, 200)}
"""By engine: to fork and to connect takes longer than a commit, and is the same each time."""

MINIMUM = Decimal("-25.00")

Run = Callable[[str], cli.Outcome]


def side_by_side(folder: Path, scripts: list[list[list[str]]]) -> list[list[cli.Outcome]]:
    """Carry out scripts at the same time; the commands of each one after another, each in a process of its own."""

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            runner = processes.Runner()
            outcomes = [runner.run(arguments) for arguments in scripts[number]]
            (folder / f"outcomes-{number}").write_text(json.dumps(outcomes))

        return run

    processes.race([work(number) for number in range(len(scripts))])
    texts = [(folder / f"outcomes-{number}").read_text() for number in range(len(scripts))]
    return [[cli.Outcome(*outcome) for outcome in json.loads(text)] for text in texts]


def at_once(folder: Path, commands: list[list[str]]) -> list[cli.Outcome]:
    """Carry out one command each, all at the same time."""
    return [outcomes[0] for outcomes in processes.alone(side_by_side, folder, [[command] for command in commands])]


@pytest.fixture
def opened(wallet: Run) -> Run:
    """A ledger with one wallet, which may be overdrawn a little."""
    assert wallet("register 9886977544").code == 0
    assert wallet(["create", "1", "--minimum-balance", str(MINIMUM)]).code == 0
    return wallet


def test_16_processes_add_to_one_wallet(opened: Run, tmp_path: Path, engine: Engine) -> None:
    each = COMMANDS_EACH[engine.name]
    drawn = random.Random(16)
    scripts = [
        [
            [
                "tx",
                "add",
                "1",
                f"{drawn.randint(1, 1000) / 100:.2f}",
                drawn.choices(["--credit", "--debit"], [6, 10])[0],
                "--json",
            ]
            for _ in range(each)
        ]
        for _ in range(WORKERS)
    ]
    # More goes out than may: whoever comes when, somebody has to be refused.
    wanted = sum(
        Decimal(amount) * (1 if sign == "--credit" else -1) for some in scripts for *_, amount, sign, _ in some
    )
    assert wanted < MINIMUM
    outcomes = [outcome for some in processes.alone(side_by_side, tmp_path, scripts) for outcome in some]
    assert len(outcomes) == WORKERS * each

    # A command is done, or refused for want of funds; nothing else happens.
    answers = [outcome.json for outcome in outcomes if outcome.code == 0]
    refusals = [outcome.error for outcome in outcomes if outcome.code != 0]
    assert {error["code"] for error in refusals} == {"insufficient_funds"}
    assert answers
    for error in refusals:
        assert Decimal(error["details"]["available"]) >= 0

    # Every acknowledged transaction is there once, and nothing else.
    answers.sort(key=lambda answer: int(answer["seq"]))
    assert [answer["seq"] for answer in answers] == list(range(1, len(answers) + 1))
    listed = [json.loads(line) for line in opened("tx list 1 -o jsonl").out.splitlines()]
    assert listed[::-1] == answers

    # The money adds up at every step.
    balance = Decimal(0)
    for answer in answers:
        balance += Decimal(answer["amount"]) * (1 if answer["is_credit"] else -1)
        assert Decimal(answer["balance"]) == balance
        assert balance >= MINIMUM
    assert Decimal(opened("balance 1 -q").out) == balance
    assert opened("verify --json").json == {"ok": True, "wallets": 1, "transactions": len(answers)}


def test_a_ledger_is_made_once_by_all_who_find_none(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WALLET_DB", str(engine.nothing(tmp_path)))
    outcomes = at_once(tmp_path, [["register", f"98869775{n:02}", "--json"] for n in range(12)])
    assert [outcome for outcome in outcomes if outcome.code] == []
    assert sorted(outcome.json["id"] for outcome in outcomes) == list(range(1, 13))
    told = [outcome.err for outcome in outcomes if outcome.err]
    assert len(told) == 1
    assert "created a new ledger" in told[0]
    assert cli.run("verify").code == 0
    assert not list(tmp_path.glob("*.new*"))


@pytest.mark.parametrize("typed", [["9886977544"] * 8, ["9886977544", "+91 98869 77544"] * 4], ids=["same", "spelled"])
def test_one_registers_a_phone_number(wallet: Run, tmp_path: Path, typed: list[str]) -> None:
    outcomes = at_once(tmp_path, [["register", phone, "--json"] for phone in typed])
    assert sorted(outcome.code for outcome in outcomes) == [0] + [5] * 7
    assert {outcome.error["code"] for outcome in outcomes if outcome.code} == {"user_exists"}
    # The ids go on without a gap: those who lost took none.
    assert wallet("register 9886977545 -q").out == "2\n"


def test_all_may_register_a_phone_number_if_that_is_ok(db: Address, tmp_path: Path) -> None:
    outcomes = at_once(tmp_path, [["register", "9886977544", "--exist-ok", "--json"]] * 8)
    assert [outcome.code for outcome in outcomes] == [0] * 8
    assert len({outcome.out for outcome in outcomes}) == 1


def test_one_opens_a_wallet(wallet: Run, tmp_path: Path) -> None:
    wallet("register 9886977544")
    outcomes = at_once(tmp_path, [["create", "1/savings", "--json"]] * 8)
    assert sorted(outcome.code for outcome in outcomes) == [0] + [5] * 7
    assert {outcome.error["code"] for outcome in outcomes if outcome.code} == {"wallet_exists"}
    assert wallet("create 1/other --json").json["id"] == 2


def test_one_key_sent_by_all_is_applied_once(opened: Run, tmp_path: Path) -> None:
    outcomes = at_once(tmp_path, [["tx", "add", "1", "5", "--credit", "--key", "k", "--note", "n", "--json"]] * 8)
    assert [outcome.code for outcome in outcomes] == [0] * 8
    answers = [outcome.json for outcome in outcomes]
    assert sorted(answer.pop("replayed", False) for answer in answers) == [False] + [True] * 7
    assert all(answer == answers[0] for answer in answers)
    assert opened("balance 1 -q").out == "5.00\n"


def test_one_key_for_two_requests_serves_the_first(opened: Run, tmp_path: Path) -> None:
    outcomes = at_once(
        tmp_path, [["tx", "add", "1", str(5 + n % 2), "--credit", "--key", "k", "-o", "json"] for n in range(8)]
    )
    codes = sorted(outcome.code for outcome in outcomes)
    assert codes == [0] * 4 + [5] * 4
    assert {outcome.error["code"] for outcome in outcomes if outcome.code} == {"key_reused"}
    assert len({outcome.json["id"] for outcome in outcomes if not outcome.code}) == 1
    assert opened("balance 1 --json").json["transactions"] == 1


def test_one_debit_takes_the_last_money(opened: Run, tmp_path: Path) -> None:
    assert opened("tx add 1 75 --credit").code == 0
    outcomes = at_once(tmp_path, [["tx", "add", "1", "100", "--debit", "--json"]] * 8)
    assert sorted(outcome.code for outcome in outcomes) == [0] + [4] * 7
    assert opened("balance 1 -q").out == "-25.00\n"

"""Keys pressed for the ten commonest acts: `wallet` now and before `credit` and `debit`, hledger, and sqlite3.

    python bench/keys.py            the table and the command lines, as docs/keys.md has them

Each line is what is typed: a character is a key, Enter is one, and so is Ctrl-D (`^D`). The customers are 1, Asha, and
2, Ravi. TAB is not used, nor the shell's history. tests/docs/test_keys.py runs every line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

Lines = Sequence[str]


class Act(NamedTuple):
    """What is done, and the lines that are typed for it: at each prompt one, the first at the shell's."""

    name: str
    now: Lines
    before: Lines
    hledger: Lines
    sqlite3: Lines


TOOLS = ("wallet", "wallet before", "hledger", "sqlite3")
CONTROL_D = "^D"


def _added(one: str, amount: str, other: str) -> Lines:
    """What `hledger add` asks: date, description, account, amount, account, amount, an end, and whether to save."""
    return ("hledger add", "", "", one, amount, other, "", "", "", CONTROL_D)


def _sql(statement: str, *options: str, into: str = "") -> Lines:
    return (" ".join(["sqlite3", *options, "w.db", f'"{statement}"', *([into] if into else [])]),)


ACTS = (
    Act(
        "credit",
        ("wallet credit 1 500",),
        ("wallet tx add 1 500 --credit",),
        _added("asha", "500", "cash"),
        _sql("insert into tx(w,a)values(1,500)"),
    ),
    Act(
        "debit",
        ("wallet debit 1 20",),
        ("wallet tx add 1 20 --debit",),
        _added("asha", "-20", "cash"),
        _sql("insert into tx(w,a)values(1,-20)"),
    ),
    Act(
        "balance",
        ("wallet balance 1",),
        ("wallet balance 1",),
        ("hledger bal asha",),
        _sql("select sum(a)from tx where w=1"),
    ),
    Act(
        "history",
        ("wallet history 1",),
        ("wallet tx list 1",),
        ("hledger areg asha",),
        _sql("select*from tx where w=1"),
    ),
    Act(
        "find a customer",
        ("wallet find asha",),
        ("wallet users --all | grep -i asha",),
        ("hledger accounts asha",),
        _sql("select*from users where name like '%asha%'"),
    ),
    Act(
        "new customer, with a wallet",
        ("wallet register 9886977546 --name Meera", "wallet create 3"),
        ("wallet register 9886977546 --name Meera", "wallet create 3"),
        (),
        _sql("insert into users(phone,name)values('+919886977546','Meera');insert into wallets(user)values(3)"),
    ),
    Act(
        "total of a month",
        ("wallet tx total 1 --from 2026-11 --to 2026-11",),
        ("wallet tx total 1 --from 2026-11 --to 2026-11",),
        ("hledger bal asha -p 2026-11",),
        _sql("select sum(a)from tx where w=1 and at like'2026-11%'"),
    ),
    Act(
        "transfer",
        ("wallet transfer 1 2 100",),
        ("wallet transfer 1 2 100",),
        _added("asha", "-100", "ravi"),
        _sql("insert into tx(w,a)values(1,-100),(2,100)"),
    ),
    Act(
        "undo",
        ("wallet tx reverse 1-2",),
        ("wallet tx reverse 1-2",),
        _added("asha", "20", "cash"),
        _sql("insert into tx(w,a)select w,-a from tx where id=2"),
    ),
    Act(
        "statement, as a file",
        ("wallet statement 1 -o html > asha.html",),
        ("wallet statement 1 -o html > asha.html",),
        ("hledger areg asha > asha.txt",),
        _sql("select*from tx where w=1", "-html", into="> asha.html"),
    ),
)


def keys(lines: Lines) -> int:
    """How many keys are pressed for these lines."""
    return sum(1 if line == CONTROL_D else len(line) + 1 for line in lines)


def _lines(act: Act) -> Mapping[str, Lines]:
    return dict(zip(TOOLS, act[1:], strict=True))


def report() -> Iterator[str]:
    """The table, in Markdown, and the command lines from which it is made."""
    yield f"| act | {' | '.join(TOOLS)} |"
    yield f"|---|{'---:|' * len(TOOLS)}"
    for act in ACTS:
        yield f"| {act.name} | {' | '.join(str(keys(lines) or '–') for lines in _lines(act).values())} |"
    sums = (sum(keys(_lines(act)[tool]) for act in ACTS) for tool in TOOLS)
    yield f"| all of them | {' | '.join(map(str, sums))} |"
    for tool in TOOLS:
        yield ""
        yield f"{tool}:"
        yield ""
        yield "```text"
        for act in ACTS:
            yield from (line or "(Enter)" for line in _lines(act)[tool])
        yield "```"


if __name__ == "__main__":
    print("\n".join(report()))

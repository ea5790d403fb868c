"""The commands into which faults are injected, and what has to hold afterwards, whatever the fault was."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from support import cli, injection, processes, somebody
from support.injection import Injected, counted
from support.processes import Runner

from wallet_cli import settings
from wallet_cli.operations.context import open_ledger
from wallet_cli.storage import dbapi, sqlite
from wallet_cli.storage.migrate import upgrade

LINES = """{"wallet": "1/main", "kind": "credit", "amount": "3", "key": "i%d"}\n"""

STORY = """
register 9886977544
register 9886977545
create 1
create 2
tx add 1 100 --credit --key first
tx add 1 10 --debit --key second
hold add 1 20 --key held
key create till
""".strip().splitlines()


class Scenario(NamedTuple):
    """A command, and the ledger that it is run on: `story`, an `old` one of an earlier schema, or `none`."""

    name: str
    line: str
    ledger: str = "story"
    again: tuple[int, ...] = (0,)
    """How it may end when it is run once more, and was done: what has no key is refused."""
    stages: bool = False
    """Whether it is done in several steps, of which each stands for itself."""
    makes: str = ""
    """A file that it makes or changes, which is whole whenever it is there, and as it was where that is refused."""


SCENARIOS = [
    Scenario("credit", "tx add 1 7 --credit --key k"),
    Scenario("debit", "tx add 1 7 --debit --key k --note rent"),
    Scenario("transfer", "transfer 1 2 5 --key k"),
    Scenario("reverse", "tx reverse 1-1 5 --key k"),
    Scenario("hold", "hold add 1 5 --key k"),
    Scenario("capture", "hold capture 1-h1 5 --key k"),
    Scenario("void", "hold void 1-h1", again=(0, 4)),
    Scenario("register", "register 9886977546", again=(5,)),
    Scenario("create", "create 1/savings", again=(5,)),
    Scenario("limits", "limits 1 --daily-debit 500"),
    Scenario("freeze", "freeze 1"),
    Scenario("close", "close 2"),
    Scenario("key create", "key create other", again=(5,)),
    Scenario("key revoke", "key revoke till"),
    Scenario("ledger set", "ledger set minimum_balance 5"),
    Scenario("import", "import lines.jsonl"),
    Scenario("import all", "import lines.jsonl --atomic"),
    Scenario("replay", "tx add 1 100 --credit --key first"),
    Scenario("balance", "balance 1"),
    Scenario("list", "tx list 1 -o csv"),
    Scenario("export", "export"),
    Scenario("verify", "verify"),
    Scenario("first run", "register 9886977544", "none", again=(5,)),
    Scenario("migration", "tx add 1 7 --credit --key k", "old"),
    Scenario("reading an old one", "balance 1", "old"),
    Scenario("move", "move --to moved.db", stages=True),
    Scenario("backup", "backup copy.db", makes="copy.db"),
    Scenario("seal", "seal a.seal", makes="a.seal"),
    Scenario("restore", "restore earlier.db"),
]
OF_CONFIG = [
    Scenario("config set", "config set currency EUR", makes="config.toml"),
    Scenario("config unset", "config unset ledgers.till", makes="config.toml"),
]
"""These change the config file, which a failure may leave either way once its folder is to be synced."""

QUERIES = (
    "SELECT id, phone_number FROM users ORDER BY 1",
    "SELECT id, type, status, held, holds, daily_debit FROM wallets ORDER BY 1",
    "SELECT wallet_id, number, amount, captured, status, key FROM holds ORDER BY 1, 2",
    "SELECT wallet_id, seq, is_credit, amount, credit_total, debit_total, key FROM transactions ORDER BY 1, 2",
    "SELECT name, revoked_at_us IS NULL FROM operators ORDER BY 1",
    "SELECT minimum_balance, damaged FROM ledger WHERE minimum_balance <> '0' OR damaged IS NOT NULL",
)

State = list[list[Any]]


def state(path: Path) -> State:
    """What a ledger holds, but for times and hashes; of none, as of an empty one. Whoever had it open has ended."""
    if not path.exists() or not path.stat().st_size:
        return [[] for _ in QUERIES]
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        old = connection.execute("PRAGMA user_version").fetchone() == (OLD_VERSION,)
        return [[] if old and "minimum" in query else connection.execute(query).fetchall() for query in QUERIES]


OLD_VERSION = 4


def make_ledgers(folder: Path) -> None:
    """The ledgers to copy from: `story.db`, `old.db`, the same in an earlier schema, and `earlier.db`, a backup."""
    os.environ["WALLET_DB"] = str(folder / "story.db")
    with somebody.nobody():
        for line in (*STORY[:5], f"backup {folder / 'earlier.db'}", *STORY[5:]):
            assert cli.run(line).code == 0, line
    (folder / "config.toml").write_text('[ledgers.till]\ndb = "till.db"\n')
    (folder / "lines.jsonl").write_text("".join(LINES % number for number in range(30)))
    with contextlib.closing(apsw.Connection(str(folder / "old.db"))) as old:
        with dbapi.transaction(old) as wrapped:
            upgrade(wrapped, to=f"{OLD_VERSION:04}")
        old.execute(f"PRAGMA application_id={sqlite.APPLICATION_ID}")
        old.execute(f"PRAGMA user_version={OLD_VERSION}")
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("ATTACH ? AS story", (str(folder / "story.db"),))
        for table in ("users", "wallets", "transactions", "holds", "operators"):
            names = [name for (name,) in old.execute("SELECT name FROM pragma_table_info(?)", (table,))]
            columns = ", ".join(f'"{name}"' for name in names)
            old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM story.{table}")


class Place:
    """A folder with the ledger of a scenario, which is the one that WALLET_DB names while it is used."""

    def __init__(self, templates: Path, folder: Path, scenario: Scenario) -> None:
        self.scenario = scenario
        self.path = folder / "w.db"
        folder.mkdir(parents=True)
        for name in ("lines.jsonl", "earlier.db", "config.toml"):
            shutil.copy(templates / name, folder)
        if scenario.ledger != "none":
            shutil.copy(templates / f"{scenario.ledger}.db", self.path)
        os.environ["WALLET_DB"] = str(self.path)
        os.environ["WALLET_CONFIG"] = str(folder / "config.toml")
        os.chdir(folder)

        self.had = self.made()

    def made(self) -> bytes | None:
        """What is in the file that the scenario makes; None if it is not there."""
        file = self.path.with_name(self.scenario.makes or "none")
        return file.read_bytes() if file.exists() else None

    def take_back(self) -> None:
        file = self.path.with_name(self.scenario.makes)
        file.unlink() if self.had is None else file.write_bytes(self.had)

    def run(self) -> cli.Outcome:
        """Run the command, with no fault."""
        return cli.run(self.scenario.line)

    def leave(self) -> None:
        os.chdir("/")
        shutil.rmtree(self.path.parent)


@contextlib.contextmanager
def held_open(path: Path) -> Iterator[None]:
    """Another process has the ledger open, and is killed at the end of the block: nobody tidies up what was left."""
    reader, writer = os.pipe()

    def hold() -> None:
        os.close(reader)
        with open_ledger(settings.load({}), lambda _: None) as ledger:
            ledger.store.user_by_id(1)
            os.write(writer, b".")
            signal.pause()

    pid = processes.fork(hold)
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        processes.reap(pid)


def judged(place: Place, before: State, after: State, injected: Injected) -> str:
    """What came of a command with a fault in it; raises AssertionError where that is wrong, now or later.

    `done`, `killed`, `unknown`, or `refused`, of which nothing may be there. Run once more with no fault, it is done.
    """
    scenario, outcome = place.scenario, injected.outcome
    told = _told(outcome)
    assert "Traceback" not in outcome.err, outcome.err
    found = state(place.path)
    if told == "done":
        expected = [after]
    elif told == "refused":
        expected = [before]
    else:
        expected = [before, after]
    if not scenario.stages or told == "done":
        assert found in expected, f"told {told}: {outcome}; found {found}"
    was_done = found == after != before
    if scenario.makes and place.made() != place.had:
        assert told != "refused", f"told refused, and {scenario.makes} was made: {outcome}"
        if scenario.makes.endswith(".db"):
            assert state(place.path.with_name(scenario.makes)) == after, "half a file has the name of the whole one"
        place.take_back()
    again = place.run()
    assert again.code in (scenario.again if was_done else (0,)), again
    assert state(place.path) == after
    if scenario.stages:
        os.environ["WALLET_DB"] = str(place.path.with_name("moved.db"))
        assert state(place.path.with_name("moved.db")) == after
    proof = cli.run("verify")
    assert proof.code == 0, proof
    return told


def _told(outcome: cli.Outcome) -> str:
    if outcome.code == -signal.SIGKILL:
        return "killed"
    if outcome.code == 0:
        return "done"
    # An import tells each line that it could not apply; migrations that cannot be read are no error of the ledger.
    codes = (2, 6, 7, *([4] if "storage_error" in outcome.err else []), *([1] if "CommandError" in outcome.err else []))
    assert outcome.code in codes, outcome
    if "error: " not in outcome.err:
        return "unknown"  # stderr takes nothing either
    # These say that nobody knows, or that it is done and could not be told.
    unknown = ("it is unknown whether", "the same key tells whether", "cannot write the answer")
    if any(words in outcome.err for words in unknown):
        return "unknown"
    return "refused"


Kinds = Mapping[str, Sequence[str]]
"""By system call, what may be injected into it, as strace has it: `error=EIO`."""


class Case(NamedTuple):
    """A fault in the `at`-th call of its kind that a command makes; and what the ledger holds before it, and after."""

    scenario: Scenario
    before: State
    after: State
    call: str
    at: int


def spread(groups: Iterable[Sequence[Case]], wanted: int) -> list[Case]:
    """So many of all cases, as evenly over the groups as they are large, and evenly over each."""
    chosen: list[Case] = []
    in_order = sorted(groups, key=len)
    for number, group in enumerate(in_order):
        share = min(len(group), (wanted - len(chosen)) // (len(in_order) - number))
        chosen += [group[each * len(group) // share] for each in range(share)]
    return chosen


class Way(NamedTuple):
    """Whether a fault stays, call after call; and whether another process has the ledger open, and is killed then."""

    lasting: bool = False
    held: bool = False


def inject(folder: Path, names: Sequence[str], kinds: Kinds, wanted: int, ways: Sequence[Way]) -> Counter[str]:
    """Inject faults into so many calls of those commands, evenly over what there is: what came of it, by word.

    It is done in these ways, one after the other; if there are fewer calls, each is done again in the next way. For
    `processes.alone`, which may fork.
    """
    os.environ["WALLET_LOCK_TIMEOUT"] = "1"
    make_ledgers(folder)
    runner = Runner()
    log = folder / "calls"
    cases: dict[str, list[Case]] = {call: [] for call in kinds}
    for scenario in (each for each in (*SCENARIOS, *OF_CONFIG) if each.name in names):
        place = Place(folder, folder / "once", scenario)
        before = state(place.path)
        assert place.run().code == 0  # and what it imports is there for all that are forked
        after = state(place.path.with_name("moved.db") if scenario.stages else place.path)
        place.leave()
        place = Place(folder, folder / "once", scenario)
        assert injection.run(runner, shlex.split(scenario.line), log, tuple(kinds)).outcome.code == 0
        place.leave()
        for call, times in counted(log).items():
            cases[call] += [Case(scenario, before, after, call, number + 1) for number in range(times)]
    told: Counter[str] = Counter()
    wrong: list[str] = []
    chosen = spread(cases.values(), wanted)
    for number in range(min(wanted, len(chosen) * len(ways))):
        scenario, before, after, call, at = chosen[number % len(chosen)]
        turn = number + number // len(chosen)
        kind = kinds[call][turn % len(kinds[call])]
        way = ways[turn % len(ways)]
        when = f"{at}+" if way.lasting else str(at)
        place = Place(folder, folder / str(number), scenario)
        used = held_open(place.path) if way.held and scenario.ledger == "story" else nullcontext()
        fault = f"{call}:{kind}:when={when}"
        try:
            with used:
                injected = injection.run(runner, shlex.split(scenario.line), log, tuple(kinds), fault)
            # A disk that fails each time is damaged.
            assert way.lasting or "is damaged" not in injected.outcome.err, injected.outcome.err
            assert "mounted alone" not in injected.outcome.err
            word = judged(place, before, after, injected)
            told[word if injected.times else "not reached"] += 1
        except (AssertionError, apsw.Error) as error:
            wrong.append(f"{scenario.name}, {fault}: {error}")
        place.leave()
    assert not wrong, "\n".join(wrong)
    return told

"""What is sent again, and that nothing is done twice: a proxy drops requests before they arrive and after."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from remote.place import Case, Place
from remote.proxy import Proxy
from support.cli import Outcome

from wallet_cli.errors import AGAIN
from wallet_cli.remote.http import MAX_TRIES, Server

pytestmark = pytest.mark.on_file("what is sent again does not ask where the ledger is kept")

TROUBLES = ("cut before", "cut after", "cut within", "502", "503", "502 after")

# Writes that can have a key: the line, and how many transactions it makes in the wallet of a case; else it is a hold.
KEYED = {
    "tx add": ("tx add {phone} 5 --debit --key k -q", 1),
    "transfer": ("transfer {phone} {phone}/spare 5 --key k -q", 1),
    "tx reverse": ("tx reverse {wallet}-2 5 --key k -q", 1),
    "hold add": ("hold add {phone} 5 --key k -q", 0),
    "hold capture": ("hold capture {wallet}-h1 5 --key k -q", 1),
}
UNKEYED = {name: (line.replace(" --key k", ""), count) for name, (line, count) in KEYED.items()}


def through(place: Place, proxy: Proxy, arguments: list[str], **environ: str) -> Outcome:
    return place.from_afar(arguments, {"WALLET_DB": proxy.url, **environ})


def state(place: Place, case: Case) -> tuple[int, int]:
    """How many transactions and holds the case's wallet has had."""
    listed = place.from_afar(case.fill("hold list {phone} --json")).json["holds"]
    return place.from_afar(case.fill("balance {phone} --json")).json["transactions"], len(listed)


@pytest.mark.parametrize(("line", "count"), KEYED.values(), ids=KEYED)
@pytest.mark.parametrize("troubles", [*product(TROUBLES), *product(TROUBLES[:2], repeat=2)], ids=" then ".join)
def test_with_a_key_a_write_is_sent_again_and_done_once(
    place: Place, line: str, count: int, troubles: tuple[str, ...]
) -> None:
    case = place.case()
    before = state(place, case)
    lookups = line.count("{phone}")
    with Proxy(place.server.address, ["pass"] * lookups + list(troubles)) as proxy:
        done = through(place, proxy, case.fill(line))
    assert done.code == 0, done.err
    assert len(proxy.requests) == lookups + len(troubles) + 1
    after = state(place, case)
    assert (after[0] - before[0], after[1] - before[1]) == (count, 1 - count)


@pytest.mark.parametrize(("line", "count"), UNKEYED.values(), ids=UNKEYED)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_write_with_no_key_is_not_sent_again(place: Place, line: str, count: int, trouble: str) -> None:
    case = place.case()
    before = state(place, case)
    lookups = line.count("{phone}")
    with Proxy(place.server.address, ["pass"] * lookups + [trouble]) as proxy:
        done = through(place, proxy, [*case.fill(line), "--json"])
    assert (done.code, done.out) == (7, "")
    assert is_told_as_unknown(done, again=False)
    assert len(proxy.requests) == lookups + 1
    after = state(place, case)
    assert after == ((before[0] + count, before[1] + 1 - count) if proxy.passed > lookups else before)


def is_told_as_unknown(done: Outcome, *, again: bool) -> bool:
    """A program that does as it is told does nothing twice: `retryable` is of what is applied once."""
    assert done.error["message"].startswith("it is unknown whether this was written: "), done.error
    assert (done.error["code"], done.error["retryable"]) == ("storage_error", again)
    assert (done.error["hint"] == AGAIN) is again
    return True


# Whatever is no answer of the server's own, though the write may be done; the third may be of a newer server.
STRANGE = (
    *("html after", "list after", "future after", "gateway after", "redirect after", "nowhere after", "half after"),
    *("data null", "data {}"),
)

WRITES: tuple[tuple[str, bool], ...] = (
    ("tx add {phone} 5 --debit", False),
    ("tx add {phone} 5 --debit --key k", True),
    ("transfer {phone} {phone}/spare 5", False),
    ("hold add {phone} 5", False),
    ("hold add {phone} 5 --key k", True),
    ("hold void {wallet}-h1", False),
    ("register {phone}8", False),
    ("register {phone}8 --exist-ok", True),
    ("create {phone}/other", False),
    ("create {phone}/other --exist-ok", True),
    ("freeze {phone}", True),
    ("limits {phone} --daily-debit 5", True),
    ("key create till-{user}", False),
    ("import lines.csv", True),
)


@pytest.mark.parametrize("trouble", STRANGE)
@pytest.mark.parametrize(("line", "again"), WRITES, ids=[line for line, _ in WRITES])
def test_what_is_no_answer_to_a_write_leaves_its_outcome_unknown(
    place: Place, line: str, again: bool, trouble: str
) -> None:
    case = place.case()
    Path("lines.csv").write_text(f"wallet,amount,kind\n{case.phone},1,credit\n")
    lookups = line.count("{phone}") if line.split()[0] not in ("register", "import") else 2 * line.count("import")
    actions = ["pass"] * lookups + [trouble] * MAX_TRIES
    with Proxy(place.server.address, actions) as proxy:
        done = through(place, proxy, [*case.fill(line), "--json"])
    assert done.code == 7
    assert is_told_as_unknown(done, again=again)
    assert proxy.passed == len(proxy.requests) > lookups
    if again and not line.startswith("import"):
        assert place.from_afar([*case.fill(line), "--json"]).code == 0


@pytest.mark.parametrize("trouble", STRANGE)
@pytest.mark.parametrize(
    ("line", "lookups"), [("tx total {phone}", 1), ("import lines.csv", 0), ("import lines.csv", 1)]
)
def test_what_is_no_answer_to_a_question_leaves_nothing_unknown(
    place: Place, line: str, lookups: int, trouble: str
) -> None:
    """Though it is a POST: a sum, and what an import looks up."""
    Path("lines.csv").write_text("wallet,amount,kind\n1,1,credit\n")
    with Proxy(place.server.address, ["pass"] * lookups + [trouble] * MAX_TRIES) as proxy:
        done = through(place, proxy, [*place.unchanged.fill(line), "--json"])
    assert done.code == 7
    assert not done.error["message"].startswith("it is unknown")
    assert proxy.passed == len(proxy.requests) > lookups


@pytest.mark.parametrize("trouble", ["gone after", "unknown gone", "waited gone"])
@pytest.mark.parametrize("line", ["tx add {phone} 5 --debit --key k", "freeze {phone}"])
def test_a_write_that_was_lost_once_is_unknown_whatever_comes_after(place: Place, line: str, trouble: str) -> None:
    """The server goes away between the tries: that nothing was sent by the last one says nothing of the first. Nor does
    it where the server itself has said of the first that its outcome is unknown.
    """
    case = place.case()
    with Proxy(place.server.address, ["pass", trouble]) as proxy:
        done = through(place, proxy, [*case.fill(line), "--json"])
    assert "cannot reach" in done.error["message"]
    assert is_told_as_unknown(done, again=True)


@pytest.mark.parametrize(("trouble", "code"), [("unknown", 7), ("waited", 6)])
def test_what_the_server_itself_says_of_an_outcome_is_told(place: Place, trouble: str, code: int) -> None:
    with Proxy(place.server.address, ["pass", trouble]) as proxy:
        done = through(place, proxy, [*place.case().fill("tx add {phone} 5 --debit"), "--json"])
    assert (done.code, done.error["details"], len(proxy.requests)) == (code, {"outcome": "unknown"}, 2)


def test_the_harness_sees_a_write_that_is_done_twice(place: Place) -> None:
    """A client that sends everything again, as a careless one would, is caught by what the tests above count."""
    case = place.case()
    careless = Server.post

    def post(self: Server, *asked: Any, key: str | None = None, again: bool = False) -> Any:
        return careless(self, *asked, key=key, again=True)

    before = state(place, case)
    with Proxy(place.server.address, ["pass", "cut after"]) as proxy, mock.patch.object(Server, "post", post):
        assert through(place, proxy, case.fill("tx add {phone} 5 --debit")).code == 0
    assert state(place, case)[0] - before[0] == 2


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(
    "line",
    ["balance {phone}", "tx list {phone} -o jsonl", "tx total {phone}", "users", "export", "freeze {phone}", "list"],
)
def test_what_reads_or_changes_nothing_by_repetition_is_sent_again(place: Place, line: str, trouble: str) -> None:
    case = place.case()
    expected = place.from_afar(case.fill(line))
    with Proxy(place.server.address, [trouble]) as proxy:
        done = through(place, proxy, case.fill(line))
    if line == "export" and trouble == "cut within":
        # What was printed cannot be taken back: that it is not all of it is said.
        assert (done.code, done.err.splitlines()[0].endswith("incomplete chunked read)")) == (7, True)
        return
    assert done == expected


@pytest.mark.parametrize("line", ["register {phone} --exist-ok -q", "create {phone}/again --exist-ok -q"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_exist_ok_is_as_good_as_a_key(place: Place, line: str, trouble: str) -> None:
    case = place.case()
    passes = ["pass"] if line.startswith("create") else []
    with Proxy(place.server.address, [*passes, trouble]) as proxy:
        done = through(place, proxy, case.fill(line))
    assert done.code == 0, done.err


def test_it_gives_up_after_a_while_and_says_what_was_wrong(place: Place) -> None:
    with Proxy(place.server.address, ["502"] * 20) as proxy:
        done = through(place, proxy, ["users", "--json"])
    assert (done.code, done.error["code"]) == (7, "storage_error")
    assert "502" in done.error["message"]
    assert len(proxy.requests) == 5


def test_it_does_not_wait_longer_than_it_may(place: Place) -> None:
    """Neither for a server that asks for more than the time to wait for a turn, nor where there is none."""
    for trouble, environ in (("later", {}), ("503", {"WALLET_LOCK_TIMEOUT": "0"})):
        with Proxy(place.server.address, [trouble] * 3) as proxy:
            assert through(place, proxy, ["users"], **environ).code == 7
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("troubles", list(product(("cut before", "cut after", "503"), repeat=2)), ids=" then ".join)
def test_an_import_through_troubles_is_that_of_a_clear_line(
    place: Place, troubles: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of few lines; each line is applied once, with the key that it would have on a file."""
    monkeypatch.setattr("wallet_cli.remote.imports.PART_LINES", 3)
    case = place.case()
    lines = [f"{case.phone},{number},credit" for number in range(1, 11)]
    Path("lines.csv").write_text("\n".join(["wallet,amount,kind", *lines, f"{case.phone},0,credit", ""]))
    with Proxy(place.server.address, ["pass", *troubles]) as proxy:
        done = through(place, proxy, ["import", "lines.csv", "--json"])
    lost = 3 * (("cut after" in troubles) and 1)
    assert (done.code, done.json["applied"] + done.json["replayed"], done.json["refused"]) == (4, 10, 1)
    assert done.json["replayed"] in (0, lost)
    assert done.err.startswith('{"line": 12, ')
    place.refresh()
    again = place.on_file(["import", "lines.csv", "--json"])
    assert (again.json["applied"], again.json["replayed"]) == (0, 10)  # the keys are those of a file
    place_again = place.from_afar(["import", "lines.csv", "--json"])
    assert place_again.json == again.json

"""What may befall a whole ledger, and who may do what: the same from afar as on a file."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path

import pytest
from remote.place import SECRET, Place, same
from remote.proxy import Proxy
from support import engines
from support.server import Server

from wallet_cli.engine.write_lock import WriteLock


def place_of(server: Server, folder: Path) -> Place:
    return Place(server, folder / "copy" / "wallet.db")


@pytest.mark.on_file("says who has the turn, which PostgreSQL does not")
def test_busy_is_told_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    patience = {"WALLET_LOCK_TIMEOUT": "0.2", "JWT_SECRET_KEY": SECRET}
    with Server(tmp_path, environ=patience) as server, contextlib.ExitStack() as held:
        place = place_of(server, tmp_path)
        case = place.case()
        for ledger in (Path(server.db), place.copy):
            held.enter_context(WriteLock(ledger.with_name(ledger.name + ".lock")).turn(30, "another"))
        for form in ("", "--json"):
            both = place.both(case.fill(f"tx add {{phone}} 1 --credit {form}"), {"WALLET_LOCK_TIMEOUT": "0.2"})
            assert same(both).code == 6
        assert same(place.both(case.fill("balance {phone}"))).code == 0


def test_a_doctor_asks_the_server(tmp_path: Path) -> None:
    """What is on its machine is for a doctor there to see."""
    (tmp_path / "copy").mkdir()
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        place = place_of(server, tmp_path)
        well = place.both("doctor --json").afar
        id_ = server.wallet(["ledger", "show", "-q"]).out.strip()
    gone = place.both("doctor --json").afar
    for done, code, status, words in ((well, 0, "ok", f"the server answers: id {id_}"), (gone, 7, "wrong", "refused")):
        [found] = [each for each in json.loads(done.out)["findings"] if each["name"] == "ledger"]
        assert (done.code, found["status"], words in found["found"]) == (code, status, True), found


@pytest.mark.parametrize("form", ["", "--json"], ids=["table", "json"])
def test_a_ledger_that_moved_is_read_and_says_where_it_went(tmp_path: Path, form: str) -> None:
    (tmp_path / "copy").mkdir()
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        place = place_of(server, tmp_path)
        case = place.case()
        assert server.wallet(["move", "--to", str(tmp_path / "new.db")]).code == 0
        for line in ("tx add {phone} 1 --credit", "register 9886977545", "freeze {phone}"):
            both = place.both(case.fill(f"{line} {form}"))
            assert same(both).code == 9
            assert str(tmp_path / "new.db") in both.afar.err
        both = place.both(case.fill(f"balance {{phone}} {form}"))
        assert (both.afar.code, both.afar.out) == (both.file.code, both.file.out)
        assert both.file.err.startswith("this ledger has moved to ")  # the server says so in /readyz


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE transactions SET amount = amount + 1 WHERE wallet_id = 1 AND seq = 1",
        "UPDATE holds SET captured = 1",
        "DELETE FROM transactions WHERE seq = 1",
    ],
)
def test_a_ledger_that_was_tampered_with(tmp_path: Path, damage: str) -> None:
    (tmp_path / "copy").mkdir()
    with Server(tmp_path, environ={"JWT_SECRET_KEY": SECRET}) as server:
        place = place_of(server, tmp_path)
        case = place.case()
        engines.execute(server.db, damage)
        for form in ("", "--json"):
            for line in (f"verify {form}", f"verify {{phone}} {form}"):
                assert same(place.both(case.fill(line))).code == 7


# What a user's token may do from afar, and what it may not: the line, and its exit code.
OF_USERS: tuple[tuple[str, int], ...] = (
    ("balance {phone}", 0),
    ("balance {phone} --at 2024-05", 0),
    ("balance {other}", 3),
    ("list {phone}", 0),
    ("list {other}", 3),
    ("list", 8),
    ("users", 8),
    ("tx list {phone}", 0),
    ("tx list {other} -o jsonl", 3),
    ("tx show {wallet}-1", 0),
    ("tx show {other_wallet}-1", 3),
    ("tx total {phone} --from 2024", 0),
    ("hold list {phone}", 0),
    ("statement {phone} -o html", 0),
    ("statement {other}", 3),
    ("tx add {phone} 1 --debit --key k", 0),
    ("tx add {phone} 1 --credit", 8),
    ("tx add {other} 1 --debit", 3),
    ("debit {phone} 1 --at 2025", 8),
    ("balance 9886999999", 3),
    ("transfer {phone} {phone}/spare 1", 0),
    ("transfer {phone} {other} 1", 3),
    ("tx reverse {wallet}-1", 8),
    ("hold add {phone} 1", 8),
    ("freeze {phone}", 8),
    ("limits {phone}", 0),
    ("limits {phone} --daily-debit 5", 8),
    ("create {phone}/new", 8),
    ("register 9886499998", 8),
    ("token {phone}", 8),
    ("key list", 8),
    ("export", 8),
    ("verify", 8),
    ("import lines.csv", 8),
)


@pytest.mark.parametrize(("line", "code"), OF_USERS)
def test_what_a_users_token_may_do(place: Place, line: str, code: int) -> None:
    case, other = place.case(), place.case()
    Path("lines.csv").write_text(f"wallet,amount,kind\n{case.phone},1,credit\n")
    token = place.from_afar(case.fill("token {phone} -q")).out.strip()
    line = line.replace("{other}", other.phone).replace("{other_wallet}", str(other.wallet))
    done = place.from_afar(case.fill(line), {"WALLET_TOKEN": token})
    assert done.code == code, done.err
    assert token not in done.err
    assert "wallet register" not in done.err
    assert "`at`" not in done.err


def test_a_bare_wallet_proposes_what_a_users_token_may_do(place: Place) -> None:
    case = place.case()
    token = {"WALLET_TOKEN": place.from_afar(case.fill("token {phone} -q")).out.strip()}
    proposed = re.findall(r"^wallet (.*?) +#", place.from_afar([], token).out, re.MULTILINE)
    assert len(proposed) > 1
    for line in proposed:
        done = place.from_afar(shlex.split(re.sub("USER|WALLET", case.phone, line)), token)
        assert done.code == 0, done.err


def test_a_key_that_may_only_read_reads_everything_and_writes_nothing(place: Place) -> None:
    case = place.case()
    key = place.server.key(f"reader-{case.user}", "--read-only")
    for line, code in (("users", 0), ("export", 0), ("verify", 0), ("tx add {phone} 1 --debit", 8), ("key list", 0)):
        assert place.from_afar(case.fill(line), {"WALLET_TOKEN": key}).code == code


# --- imports of more than one part ----------------------------------------------------------------------------------


def test_a_line_that_does_not_fit_breaks_its_wallet_in_all_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a line that was refused is refused too, in whatever part it comes."""
    monkeypatch.setattr("wallet_cli.remote.imports.PART_LINES", 2)
    case = place.case()
    exported = place.from_afar(case.fill("export {phone}")).out.splitlines()
    wrong = [line.replace('"100.00"', '"101.00"') for line in exported]
    assert wrong != exported
    Path("wrong.jsonl").write_text("\n".join(wrong) + "\n")
    done = same(place.both(["import", "wrong.jsonl", "--json"]))
    assert done.code == 4
    assert "an earlier line of this wallet was refused" in done.err


@pytest.mark.parametrize("option", ["--atomic", "--dry-run"])
def test_all_or_nothing_is_of_one_part(place: Place, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many lines are one part; more bytes than one part has are refused before anything is sent."""
    case = place.case()
    text = "wallet,amount,kind\n" + f"{case.phone},0.01,credit\n" * 6000
    Path("lines.csv").write_text(text)
    assert same(place.both(["import", "lines.csv", option, "--json"])).json["applied"] == 6000
    monkeypatch.setattr("wallet_cli.remote.imports.PART_LINES", 500)
    other = "wallet,amount,kind\n" + f"{case.phone},0.02,credit\n" * 600
    Path("bad.csv").write_text(other + f"{case.phone},x,credit\n" + other.partition("\n")[2])
    done = same(place.both(["import", "bad.csv", option, "--json"]))
    assert (done.code, done.json["applied"]) == (4, 0 if option == "--atomic" else 1_200)
    monkeypatch.setattr("wallet_cli.remote.imports.WHOLE_BYTES", 10_000)
    before = place.from_afar(["export"]).out
    done = place.from_afar(["import", "bad.csv", option])
    assert (done.code, done.out) == (2, "")
    assert "at most" in done.err
    assert place.from_afar(["export"]).out == before


def test_a_file_of_many_parts_through_a_pipe(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line numbers, keys and sums are those of the whole, whatever the parts are, with bad lines between."""
    monkeypatch.setattr("wallet_cli.remote.imports.PART_BYTES", 2000)
    case = place.case()
    lines = [f"{case.phone},{'x' if number % 97 == 0 else number},credit,Zoë" for number in range(1, 500)]
    Path("lines.csv").write_text("\n".join(["wallet,amount,kind,note", *lines, ""]), "utf-8")
    done = same(place.both(["import", "lines.csv", "--json"]))
    assert (done.json["applied"], done.json["refused"]) == (494, 5)
    same(place.both(["import", "lines.csv"]))
    keys = place.from_afar(case.fill("tx list {phone} -o csv")).out
    place.refresh()
    assert place.on_file(case.fill("tx list {phone} -o csv")).out == keys


@pytest.mark.parametrize(
    ("times", "is_said"),
    [
        (["2024-05-01T10:00Z", "2024-05-02T10:00+05:30", "2024-05-03T10:00"], True),
        (["2024-05-01T10:00", "2024-05-02T10:00Z", ""], True),
        (["2024-05-01T10:00Z", "2024-05-02T10:00+05:30", ""], False),
    ],
)
def test_what_an_older_server_does_not_know_is_said_from_the_first_part_on(
    place: Place, times: list[str], is_said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses a file with times that have no offset as a whole, also if the first of them are in a later part."""
    monkeypatch.setattr("wallet_cli.remote.imports.PART_LINES", 1)
    case = place.case()
    lines = [f"{case.phone},5,credit,{at},{case.phone}-{number}" for number, at in enumerate(times)]
    Path("lines.csv").write_text("\n".join(["wallet,amount,kind,at,key", *lines, ""]))
    with Proxy(place.server.address) as proxy:
        done = place.from_afar(["import", "lines.csv", "--json"], {"WALLET_DB": proxy.url})
    parts = [request.partition(b"\r\n")[0] for request in proxy.requests if b"/import/part" in request]
    assert (done.json["applied"], len(parts)) == (3, 3)
    assert [b"times=ledger" in part for part in parts] == [is_said] * 3

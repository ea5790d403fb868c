"""Imports over HTTP: each line through the rules, once however often it is sent, beside all other callers."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import engines
from support.engines import Engine
from support.server import Server
from support.waiting import PAUSE_S
from web.calls import Owned, balance, failure, made, new_user, new_wallet, post
from web.raw import dump, exchange

from wallet_cli.import_export.imports import BATCH_LINES
from wallet_cli.web.routes.import_export import MAX_REJECTS
from wallet_cli.web.server_state import MAX_IMPORTS

CSV, NDJSON = "text/csv", "application/x-ndjson"
NOTHING = {"applied": 0, "replayed": 0, "refused": 0, "users_created": 0, "wallets_created": 0, "rejects": []}


def send(api: httpx.Client, file: str | bytes, kind: str = CSV, **options: str) -> httpx.Response:
    return api.post("/import", content=file, params=options, headers={"Content-Type": kind})


def rows(owned: Owned, *lines: str, columns: str = "amount,kind") -> str:
    """A CSV file about a wallet."""
    return "".join(f"{line}\n" for line in (f"wallet,{columns}", *(f"{owned[0]}/main,{line}" for line in lines)))


def deposits(owned: Owned, count: int) -> str:
    """A CSV file of so many credits of 1.00."""
    return rows(owned, *["1.00,credit"] * count)


def codes(data: dict[str, Any]) -> dict[int, str]:
    """The codes of the refused lines, by their numbers."""
    return {each["line"]: each["code"] for each in data["rejects"]}


# --- what becomes of the lines --------------------------------------------------------------------------------------


def test_each_line_goes_through_the_rules(api: httpx.Client, owned: Owned) -> None:
    file = rows(owned, "5.00,credit", "9.00,debit", "1.001,credit", "2.00,debit")
    answer = send(api, file)
    data = made(answer, 200)
    assert answer.json()["message"] == "import done"
    assert set(data) == set(NOTHING)
    assert (data["applied"], data["refused"]) == (2, 2)
    assert [set(each) for each in data["rejects"]] == [{"line", "code", "message", "hint"}] * 2
    assert codes(data) == {3: "insufficient_funds", 4: "invalid_input"}
    assert balance(api, owned) == "3.00"


@pytest.mark.parametrize("kind", [CSV, NDJSON])
def test_the_same_file_again_applies_nothing(api: httpx.Client, owned: Owned, kind: str) -> None:
    lines = [{"wallet": f"{owned[0]}/main", "amount": "1.00", "kind": "credit", "note": str(n)} for n in range(3)]
    as_lines = "".join(json.dumps(line) + "\n" for line in lines)
    file = rows(owned, "1.00,credit", "1.00,credit", "1.00,credit") if kind == CSV else as_lines
    assert made(send(api, file, kind), 200) == NOTHING | {"applied": 3}
    assert made(send(api, file, kind), 200) == NOTHING | {"replayed": 3}
    assert balance(api, owned) == "3.00"


def test_it_counts_as_the_command_does(server: Server, api: httpx.Client, owned: Owned, tmp_path: Path) -> None:
    """The same file on the same ledger, once from afar and once from here: what one did, the other finds done."""
    file = rows(owned, "5.00,credit", "99.00,debit", "1.00,debit")
    sent = made(send(api, file), 200)
    path = tmp_path / "file.csv"
    path.write_text(file)
    done = server.wallet(["import", str(path), "--json"])
    assert done.code == 4
    assert json.loads(done.out) == {name: sent[name] for name in NOTHING if name != "rejects"} | {
        "applied": 0,
        "replayed": sent["applied"],
    }
    assert balance(api, owned) == "4.00"


def test_what_is_missing_is_opened_if_asked_for(api: httpx.Client) -> None:
    known = api.get(f"/users/{new_user(api)}").json()["data"]["phone_e164"]
    file = f"wallet,amount,kind\n{known}/trips,1.00,credit\n+442079460123/main,2.00,credit\n"
    refused = made(send(api, file, create="false"), 200)
    assert codes(refused) == {2: "wallet_not_found", 3: "user_not_found"}
    data = made(send(api, file, create="true"), 200)
    assert data == NOTHING | {"applied": 2, "users_created": 1, "wallets_created": 2}


def test_a_dry_run_says_what_would_be_and_changes_nothing(server: Server, api: httpx.Client, owned: Owned) -> None:
    file = rows(owned, "5.00,credit", "9.00,debit")
    before = dump(server.db)
    data = made(send(api, file, dry_run="true"), 200)
    assert data.pop("dry_run") is True
    assert dump(server.db) == before
    assert data == made(send(api, file), 200)


def test_all_or_nothing(server: Server, api: httpx.Client, owned: Owned) -> None:
    before = dump(server.db)
    answer = send(api, rows(owned, "5.00,credit", "9.00,debit", "1.00,debit"), atomic="true")
    data = made(answer, 200)
    assert answer.json()["message"] == "nothing was changed: a line was refused"
    assert (data["applied"], data["refused"], codes(data)) == (0, 1, {3: "insufficient_funds"})
    assert dump(server.db) == before
    assert made(send(api, rows(owned, "5.00,credit", "1.00,debit"), atomic="true"), 200)["applied"] == 2
    assert balance(api, owned) == "4.00"


def test_an_option_that_is_empty_is_refused(api: httpx.Client, owned: Owned) -> None:
    for option in ("create", "dry_run", "atomic"):
        failure(send(api, rows(owned, "5.00,credit"), **{option: ""}), 400, "invalid_input")
    assert balance(api, owned) == "0.00"


def test_so_many_refused_lines_are_told_and_all_are_counted(api: httpx.Client, owned: Owned) -> None:
    data = made(send(api, rows(owned, *["1.00,debit"] * (MAX_REJECTS + 500))), 200)
    assert data["refused"] == MAX_REJECTS + 500
    assert [each["line"] for each in data["rejects"]] == list(range(2, MAX_REJECTS + 2))


def test_refused_lines_are_in_the_metrics(server: Server, api: httpx.Client, owned: Owned) -> None:
    def counted() -> float:
        found = [line for line in server.client().get("/metrics").text.splitlines() if 'code="key_reused"' in line]
        return float(found[0].split(" ")[1]) if found else 0.0

    before = counted()
    file = rows(owned, "1.00,credit,a", "2.00,credit,a", "3.00,credit,a", columns="amount,kind,key")
    assert codes(made(send(api, file), 200)) == {3: "key_reused", 4: "key_reused"}
    assert counted() == before + 2


def test_a_line_of_an_export_that_does_not_fit(api: httpx.Client, owned: Owned) -> None:
    made(post(api, owned, "5.00"))
    line = {"id": f"{owned[1]}-1", "wallet": f"{owned[0]}/main", "amount": "6.00", "kind": "credit", "at": "2024-01-01"}
    data = made(send(api, json.dumps(line), NDJSON), 200)
    assert codes(data) == {1: "restore_conflict"}


# Lines that are hostile: {w} is the wallet. Which lines are refused (none: "") and how many are applied.
HOSTILE: tuple[tuple[str, str, bytes, str, int], ...] = (
    ("a BOM", CSV, b"\xef\xbb\xbfwallet,amount,kind\n{w},1,credit\n", "", 1),
    ("a BOM", NDJSON, b'\xef\xbb\xbf{"wallet":"{w}","amount":1,"kind":"credit"}\n', "", 1),
    ("a BOM in the middle", NDJSON, b'{G}\n\xef\xbb\xbf{"wallet":"{w}","amount":1,"kind":"credit"}\n{G}\n', "2", 2),
    ("CRLF", CSV, b"wallet,amount,kind\r\n{w},1,credit\r\n\r\n{w},1,credit\r\n", "", 2),
    ("CRLF", NDJSON, b"{G}\r\n\r\n{G}\r\n", "", 2),
    ("no end of the last line", CSV, b"wallet,amount,kind\n{w},1,credit", "", 1),
    ("no end of the last line", NDJSON, b"{G}\n{G}", "", 2),
    ("cut in the middle of a line", NDJSON, b'{G}\n{"wallet":"{w}","amou', "2", 1),
    ("cut in the middle of a line", CSV, b"wallet,amount,kind\n{w},1,credit\n{w},1", "3", 1),
    ("invalid UTF-8", NDJSON, b'{G}\n{"wallet":"{w}","amount":1,"kind":"credit","note":"\xff"}\n{G}\n', "2", 2),
    ("half a surrogate", NDJSON, b'{"wallet":"{w}","amount":1,"kind":"credit","note":"\\ud800"}\n{G}\n', "1", 1),
    ("a line of a million", NDJSON, b"{G}\n" + b"x" * 1_000_000 + b"\n{G}\n", "2", 2),
    ("a line of a million", CSV, b"wallet,amount,kind\n{w},1," + b"x" * 1_000_000 + b"\n{w},1,credit\n", "2", 1),
    ("a note of a million", NDJSON, b'{"wallet":"{w}","note":"' + b"x" * 1_000_000 + b'"}\n{G}\n', "1", 1),
    ("60,000 levels", NDJSON, b'{"meta":' + b"[" * 60_000 + b"\n{G}\n", "1", 1),
    ("columns missing", CSV, b"wallet,amount,kind\n{w},1\n{w},1,credit\n{w}\n", "2 4", 1),
    ("a column too many", CSV, b"wallet,amount,kind\n{w},1,credit,x\n{w},1,credit\n", "2", 1),
    ("NUL", CSV, b"wallet,amount,kind,note\n{w},1,credit,a\0b\n{w},1,credit,x\n", "2", 1),
    ("NUL", NDJSON, b"\0\n{G}\n{G}\0\n", "1 3", 1),
    ("UTF-16", NDJSON, '{"wallet":"1"}'.encode("utf-16"), "1", 0),
    ("gzip", NDJSON, b"\x1f\x8b\x08\x00" + b"\0" * 20, "1", 0),
    ("a name twice", NDJSON, b'{"amount":5,"wallet":"{w}","amount":1,"kind":"credit"}\n{G}\n', "1", 1),
    ("NaN", NDJSON, b'{"wallet":"{w}","amount":NaN,"kind":"credit"}\n{G}\n', "1", 1),
    ("an exponent", NDJSON, b'{"wallet":"{w}","amount":1e3,"kind":"credit"}\n{G}\n', "1", 1),
    ("5,000 digits", NDJSON, b'{"wallet":"{w}","amount":' + b"9" * 5000 + b',"kind":"credit"}\n{G}\n', "1", 1),
    ("what is no object", NDJSON, b'1\n[]\nnull\n"x"\ntrue\n{G}\n', "1 2 3 4 5", 1),
    ("a record of nobody", NDJSON, b'{"record":"operator","name":"x"}\n{"record":5}\n{G}\n', "1 2", 1),
    ("CSV that is said to be JSON lines", NDJSON, b"wallet,amount,kind\n{w},1,credit\n", "1 2", 0),
    ("a formula", CSV, b"wallet,amount,kind,note\n{w},=1+1,credit,\n{w},1,credit,=1+1\n", "2", 1),
    (
        "another amount for a key",
        CSV,
        b"wallet,amount,kind,key\n{w},1,credit,k\n{w},2,credit,k\n{w},1,credit,k\n",
        "3",
        1,
    ),
    ("an export cut short", NDJSON, b'{"record":"ledger","version":1}\n{G}\n', "3", 1),
)


WHOLE = {
    b"wallet,amount,kind,note\n{w},1,credit,x\n{w},1,credit,\xff\n": "line 3: the line is not UTF-8: byte ",
    b'wallet,amount,kind\n{w},1,credit\n{w},1,"credit\n{w},1,credit\n': "line 3: a quote is not closed",
    b'wallet,amount,kind\n{w},1,credit\n{w},"1,50",credit\n': "line 3: the decimal sign is not given: '1,50'",
    b"wallet,amount,kind,at\n{w},1,credit,\n{w},1,credit,03/04/2024\n": "line 3: the date could be two days",
}


@pytest.mark.parametrize("text", WHOLE, ids=WHOLE.get)
def test_what_is_uncertain_refuses_the_whole_file(text: bytes, api: httpx.Client, owned: Owned) -> None:
    """The hint names what a request can say, and no option of a command."""
    answer = send(api, text.replace(b"{w}", f"{owned[0]}/main".encode()), CSV)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid_input")
    assert body["message"].startswith(WHOLE[text])
    assert "--" not in body["hint"]
    assert balance(api, owned) == "0.00"


def test_a_map_that_a_hint_shows_is_sent_as_it_stands(api: httpx.Client, owned: Owned) -> None:
    text = f"account,Sum\n{owned[0]}/main,5\n".encode()
    hint = send(api, text, CSV).json()["hint"]
    shown = hint.partition("such as map=")[2]
    assert shown == "account=wallet,Sum=signed_amount"
    assert send(api, text, CSV, map=shown).json()["data"]["applied"] == 1


def test_what_is_uncertain_is_said_in_the_query(api: httpx.Client, owned: Owned) -> None:
    text = "Datum;Betrag;Text\n31.12.2024;1.234,50;Lohn\n30.12.2024;1.000,00;Lohn\n".encode("utf-16")
    written = {
        "map": "Betrag=signed_amount,Datum=at,Text=note",
        "decimal": ",",
        "dates": "dmy",
        "wallet": f"{owned[0]}/main",
    }
    assert made(send(api, text, CSV, **written), 200)["applied"] == 2
    assert balance(api, owned) == "2234.50"
    again = text[:2] + text[2:].replace(b"\n\0", b"\r\0\n\0")
    failure(send(api, again, CSV, **written), 400, "invalid_input")
    assert made(send(api, again, CSV, **written, duplicates="skip"), 200)["skipped"] == 2
    assert balance(api, owned) == "2234.50"
    added = made(send(api, again, CSV, **written, duplicates="add", sort="true"), 200)
    assert (added["applied"], added["rejects"][0]["code"]) == (1, "time_conflict")
    failure(send(api, again, CSV, duplicates="perhaps"), 400, "invalid_input")
    failure(send(api, again, CSV, **written | {"decimal": "x"}), 400, "invalid_input")


@pytest.mark.parametrize(
    ("kind", "text", "refused", "applied"), [row[1:] for row in HOSTILE], ids=[f"{row[0]}, {row[1]}" for row in HOSTILE]
)
def test_hostile_lines(
    server: Server, api: httpx.Client, owned: Owned, kind: str, text: bytes, refused: str, applied: int
) -> None:
    """Each line that is wrong is refused by its number, and the others are read."""
    wallet = f"{owned[0]}/main".encode()
    good = b'{"wallet":"{w}","amount":1,"kind":"credit"}'
    data = made(send(api, text.replace(b"{G}", good).replace(b"{w}", wallet), kind), 200)
    assert " ".join(str(each["line"]) for each in data["rejects"]) == refused
    assert (data["applied"], data["refused"]) == (applied, len(refused.split()))
    assert balance(api, owned) == f"{applied}.00"
    assert not [line for line in server.lines if "internal_error" in line]


def test_just_as_many_bytes_as_allowed(api: httpx.Client, owned: Owned) -> None:
    line = rows(owned, "1.00,credit")
    file = line + " " * (8 * 1024 * 1024 - len(line))
    data = made(send(api, file), 200)
    assert (data["applied"], codes(data)) == (1, {3: "invalid_input"})


def test_in_chunks(server: Server, api: httpx.Client, owned: Owned) -> None:
    """As a client sends it that does not know how much will come."""

    def parts() -> Iterator[bytes]:
        file = deposits(owned, 1000).encode()
        for start in range(0, len(file), 777):
            yield file[start : start + 777]

    answer = api.post("/import", content=parts(), headers={"Content-Type": CSV})
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert made(answer, 200)["applied"] == 1000


def test_what_is_cut_off_on_its_way_is_not_applied(server: Server, api: httpx.Client, owned: Owned) -> None:
    """Not one line of it; and there is room for others afterwards."""
    before = dump(server.db)
    file = deposits(owned, 5_000).encode()
    head = f"POST /api/v1/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {CSV}\r\n"
    head += f"Content-Length: {len(file)}\r\n\r\n"
    for size in (0, 1, len(file) // 2, len(file) - 1):
        for _ in range(MAX_IMPORTS):
            assert exchange(server.address, head.encode() + file[:size], finish=True) is None
    assert dump(server.db) == before
    assert made(send(api, file), 200)["applied"] == 5_000


# --- beside others --------------------------------------------------------------------------------------------------


def under_way(api: httpx.Client, imports: int) -> None:
    """Wait until so many imports are running on a server that allows no more: a file with no header is told which."""
    assert imports == MAX_IMPORTS
    while (answer := send(api, "x")).status_code != 503:
        assert answer.status_code == 400
        time.sleep(PAUSE_S)
    assert answer.headers["Retry-After"] == "1"
    failure(answer, 503, "busy", retryable=True)


Waiting = tuple[list[Future[httpx.Response]], Callable[[], object]]


@contextmanager
def waiting(server: Server, files: list[str], **options: str) -> Iterator[Waiting]:
    """Imports that wait for the turn, which another process has, and how to give that up."""
    all_in = threading.Event()

    def let_in(api: httpx.Client, file: str) -> httpx.Response:
        """Send it until it is let in: who looks whether all are running is one more."""
        while (answer := send(api, file, **options)).status_code == 503 and not all_in.is_set():
            time.sleep(PAUSE_S)
        return answer

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(files)))
        give_up = stack.enter_context(engines.turn_held(server.db))
        sent = [pool.submit(let_in, server.api(), file) for file in files]
        under_way(server.api(), len(files))
        all_in.set()
        yield sent, give_up


def test_others_are_served_and_one_too_many_is_told_so(tmp_path: Path) -> None:
    with Server(tmp_path, "--no-auth") as server:
        api = server.api()
        owned = [new_wallet(api) for _ in range(MAX_IMPORTS)]
        with waiting(server, [deposits(each, 3) for each in owned]) as (sent, give_up):
            for each in owned:
                assert balance(api, each) == "0.00"
                assert api.get("/export").status_code == 200
                failure(send(api, deposits(each, 1)), 503, "busy", retryable=True)
            assert not any(each.done() for each in sent)
            give_up()
            assert [made(each.result(), 200)["applied"] for each in sent] == [3] * MAX_IMPORTS
        assert [balance(api, each) for each in owned] == ["3.00"] * MAX_IMPORTS
        made(send(api, deposits(owned[0], 1)), 200)  # there is room again


def test_writers_come_in_between(tmp_path: Path) -> None:
    """A long import has a turn a batch: a write that waits for the first one is not the last to have its own."""
    with Server(tmp_path, "--no-auth") as server, ThreadPoolExecutor(1) as pool:
        api = server.api()
        owned = [new_wallet(api) for _ in range(MAX_IMPORTS)]
        with waiting(server, [deposits(each, 4 * BATCH_LINES) for each in owned]) as (sent, give_up):
            writing = pool.submit(post, server.api(), owned[0], "0.50")
            give_up()
            seq = made(writing.result())["seq"]
            assert [made(each.result(), 200)["applied"] for each in sent] == [4 * BATCH_LINES] * MAX_IMPORTS
        assert seq <= 4 * BATCH_LINES
        assert balance(api, owned[0]) == f"{4 * BATCH_LINES}.50"


@pytest.mark.parametrize("atomic", ["false", "true"])
def test_with_no_turn_to_be_had_it_is_busy(tmp_path: Path, engine: Engine, atomic: str) -> None:
    with Server(tmp_path, "--no-auth", environ={"WALLET_LOCK_TIMEOUT": "0.1"}) as server:
        api = server.api()
        owned = new_wallet(api)
        with engines.turn_held(server.db):
            answer = send(api, deposits(owned, 3), atomic=atomic)
            assert answer.headers["Retry-After"] == "1"
            details = failure(answer, 503, "busy", retryable=True)
            if engine.name == "file":  # PostgreSQL does not say who
                assert details["holder"]["command"] == "settling"
        assert made(send(api, deposits(owned, 3), atomic=atomic), 200)["applied"] == 3


# --- stopping -------------------------------------------------------------------------------------------------------


def closed(server: Server) -> None:
    """Wait until nothing listens any more: the signal was taken."""
    while True:
        try:
            socket.create_connection(server.address, timeout=1).close()
        except OSError:
            return


@pytest.mark.parametrize("atomic", ["false", "true"])
def test_a_stop_ends_it_between_two_batches(tmp_path: Path, atomic: str) -> None:
    """Each is told so, what it had committed stays, and of what is all or nothing, nothing; sent again, it is whole."""
    whole = 2 * BATCH_LINES + 1
    with Server(tmp_path, "--no-auth") as server:
        owned = [new_wallet(server.api()) for _ in range(MAX_IMPORTS)]
        files = [deposits(each, whole) for each in owned]
        with waiting(server, files, atomic=atomic) as (sent, give_up):
            server.process.send_signal(signal.SIGTERM)
            closed(server)
            assert not any(each.done() for each in sent)
            give_up()
            for each in sent:
                answer = each.result()
                failure(answer, 503, "busy", retryable=True)
                assert answer.headers["Connection"] == "close"
        assert server.stop(0) == 0
        assert not [line for line in server.lines if "internal_error" in line]
        assert server.wallet("verify").code == 0

        server.start()
        api = server.api()
        done = 0 if atomic == "true" else BATCH_LINES
        for wallet, file in zip(owned, files, strict=True):
            assert balance(api, wallet) == f"{done}.00"
            assert made(send(api, file, atomic=atomic), 200) == NOTHING | {"applied": whole - done, "replayed": done}
            assert balance(api, wallet) == f"{whole}.00"


def test_a_second_signal_does_not_wait_for_it(tmp_path: Path) -> None:
    """And the ledger is as it was: what waits for its turn has written nothing."""
    with Server(tmp_path, "--no-auth") as server:
        owned = [new_wallet(server.api()) for _ in range(MAX_IMPORTS)]
        before = dump(server.db)
        with waiting(server, [deposits(each, 3) for each in owned]) as (sent, _):
            server.process.send_signal(signal.SIGTERM)
            closed(server)
            assert server.stop() == 128 + signal.SIGTERM
            for each in sent:
                with pytest.raises(httpx.TransportError):
                    each.result()
        assert dump(server.db) == before

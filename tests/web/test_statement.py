"""Statements over HTTP: the same as `wallet statement` prints, as JSON, CSV, HTML and PDF."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx
import pytest
from support.server import Server
from web.calls import Owned, call, failure, ids, made, new_wallet, post, transfer

from wallet_cli.operations.statements import LINE_KINDS

FORMS = {
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
}


@pytest.fixture(scope="module")
def history(server: Server) -> Owned:
    """A wallet with a transaction of each kind, and texts that are hard to write down."""
    api = server.api()
    owned, other = new_wallet(api), new_wallet(api)
    made(post(api, owned, "100.00", note="=1+1", key="a,b", at="2024-04-01"))
    made(post(api, owned, "0.50", is_credit=False, note='"say, ""hi""', at="2024-04-30T23:59:59"))
    made(post(api, owned, "2.00", note="</td><script>alert(1)</script>", meta={"order": 2**70}, at="2024-05-01"))
    made(post(api, other, "9.00"))
    made(transfer(api, owned, other, "1.00", note="café 😀"))
    made(transfer(api, other, owned, "0.25"))
    made(call(api, "/holds/capture", hold=made(call(api, "/holds/create", **ids(owned), amount=3))["id"]))
    made(call(api, "/transactions/reverse", transaction=f"{owned[1]}-2"))
    made(call(api, "/transactions/reverse", transaction=f"{owned[1]}-3", amount="1.00", force=True))
    return owned


def statement(api: httpx.Client, owned: Owned, form: str = "", **period: str) -> httpx.Response:
    return api.get(f"/wallet/statement/{owned[0]}/{owned[1]}", params=({"format": form} if form else {}) | period)


def printed(server: Server, owned: Owned, options: str) -> str:
    """What the command line prints, on the same ledger."""
    done = server.wallet(f"statement {owned[0]}/main {options}")
    assert done.code == 0, done.err
    return done.out


def test_as_json_it_is_what_the_command_prints(server: Server, api: httpx.Client, history: Owned) -> None:
    answer = statement(api, history)
    assert answer.headers["content-type"] == "application/json"
    assert "content-disposition" not in answer.headers
    data = made(answer, 200)
    assert data == json.loads(printed(server, history, "--json"))
    assert {each["kind"] for each in data["totals"]} == set(LINE_KINDS)
    listed = made(api.get(f"/transactions/get/{history[0]}/{history[1]}"), 200)["transactions"]
    who = [(each.pop("via"), each.pop("actor")) for each in listed]
    assert set(who) == {("no-auth", "local")}  # which a statement does not say
    assert data["transactions"] == listed[::-1]


def test_as_csv_it_is_what_the_command_prints(server: Server, api: httpx.Client, history: Owned) -> None:
    answer = statement(api, history, "csv")
    assert answer.text == printed(server, history, "-o csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [f"{history[1]}-{seq}" for seq in range(1, 9)]
    assert json.loads(rows[2]["meta"]) == {"order": 2**70}


def test_as_html_it_is_one_page_that_does_nothing(api: httpx.Client, history: Owned) -> None:
    answer = statement(api, history, "html")
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert policy["sandbox"] == ""
    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert answer.text.endswith("</html>\n")


def test_as_pdf(api: httpx.Client, history: Owned) -> None:
    pdf = statement(api, history, "pdf").content
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_a_type_and_a_name(api: httpx.Client, history: Owned, form: str) -> None:
    for answer in (
        statement(api, history, form),
        api.head(f"/wallet/statement/{history[0]}/{history[1]}?format={form}"),
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == FORMS[form]
        assert answer.headers["content-disposition"] == f'attachment; filename="statement-{history[1]}.{form}"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


PERIODS: tuple[tuple[dict[str, str], str, str], ...] = (
    ({}, "1 2 3 4 5 6 7 8", "0.00"),
    ({"to": "2024-04"}, "1 2", "0.00"),
    ({"from": "2024-04-30", "to": "2024-05-01T00:00"}, "2 3", "100.00"),
    ({"from": "2024-05-01T05:30:00+05:30", "to": "2024-05-01"}, "3", "99.50"),
    ({"from": "2023", "to": "2023"}, "", "0.00"),
    ({"from": "2024-05-02", "to": "2024-12"}, "", "101.50"),
)


@pytest.mark.parametrize(("period", "seqs", "opening"), PERIODS, ids=str)
def test_a_period(
    server: Server, api: httpx.Client, history: Owned, period: dict[str, str], seqs: str, opening: str
) -> None:
    data = made(statement(api, history, **period), 200)
    assert " ".join(str(each["seq"]) for each in data["transactions"]) == seqs
    assert data["opening_balance"] == opening
    total = {"start_date": period.get("from"), "end_date": period.get("to")}
    counted: dict[str, Any] = made(call(api, "/transactions/get/total_in_period", **ids(history), **total), 200)
    assert {name: data[name] for name in counted} == counted
    options = " ".join(f"--{name} {value}" for name, value in period.items())
    assert data == json.loads(printed(server, history, f"--json {options}"))


def test_of_an_empty_wallet(api: httpx.Client, owned: Owned) -> None:
    data = made(statement(api, owned), 200)
    assert (data["totals"], data["transactions"], data["closing_balance"]) == ([], [], "0.00")
    assert len(statement(api, owned, "csv").text.splitlines()) == 1
    for form in ("html", "pdf"):
        assert statement(api, owned, form).status_code == 200


@pytest.mark.parametrize("form", ["json", *FORMS])
def test_what_is_wrong_is_a_failure_and_no_file(api: httpx.Client, history: Owned, form: str) -> None:
    for period in ({"from": "someday"}, {"from": "2024-05", "to": "2024-04"}):
        answer = statement(api, history, form, **period)
        assert answer.headers["content-type"] == "application/json"
        failure(answer, 400, "invalid_input")
    failure(statement(api, (history[0], 10**9), form), 404, "wallet_not_found")
    failure(statement(api, (10**9, history[1]), form), 404, "wallet_not_found")


def test_a_long_one_comes_in_pieces_and_whole(server: Server, api: httpx.Client, owned: Owned) -> None:
    lines = 3000
    rows = "".join(f"{owned[0]}/main,1.00,credit,note {number}\n" for number in range(lines))
    file = f"wallet,amount,kind,note\n{rows}"
    assert made(api.post("/import", content=file, headers={"Content-Type": "text/csv"}), 200)["applied"] == lines
    with api.stream("GET", f"/wallet/statement/{owned[0]}/{owned[1]}") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        data = json.loads(answer.read())["data"]
    assert [each["note"] for each in data["transactions"]] == [f"note {number}" for number in range(lines)]
    assert data["closing_balance"] == f"{lines}.00"
    assert statement(api, owned, "csv").text == printed(server, owned, "-o csv")

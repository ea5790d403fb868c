"""A wallet's own currency and digits are the truth about it: a later table of ISO 4217 judges none of them.

The wallets here are in what has left the list (HRK, with and without a table that remembers it), in what has joined it
(`XYZ/3` of before, and XYZ), and in one whose digits have changed: each command has to go on as it did.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cli, engines
from support.engines import Address, Engine
from support.server import Server

from wallet_cli.domain import money
from wallet_cli.domain.commands import OpenWallet
from wallet_cli.domain.ids import UserId, WalletName, parse_wallet
from wallet_cli.domain.money import Currency, parse_currency, parse_stored
from wallet_cli.errors import InvalidInput, KeyReused
from wallet_cli.import_export import exports, imports
from wallet_cli.operations import verification, wallets
from wallet_cli.operations.prepared import Prepared

Run = Callable[[str | list[str]], cli.Outcome]

HELD = {
    # Type of the wallet → its name and digits as they are stored, and an amount with all of them.
    "kuna": ("HRK", 2, "10.25"),
    "nobody-knows": ("QQQ", 4, "10.2525"),
    "joined": ("XYZ/3", 3, "10.255"),
    "joined-otherwise": ("XYW/0", 0, "10"),
    "changed": ("ISK", 2, "10.25"),
}


@pytest.fixture
def old(db: Address, wallet: Run, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A ledger whose wallets were opened, and used, while these were currencies; the table is another one now."""
    then = {name: digits for name, digits, _ in HELD.values() if "/" not in name}
    with monkeypatch.context() as past:
        past.setattr(money, "FORMER", {})
        past.setattr(money, "ISO_4217", money.ISO_4217 | then)
        assert wallet("register 9886977544").code == 0
        for type_, (name, _, amount) in HELD.items():
            assert wallet(f"create 1/{type_} --currency {name}").code == 0
            assert wallet(f"create 1/{type_}-2 --currency {name}").code == 0
            assert wallet(f"tx add 1/{type_} {amount} --credit --at 2024-04-30T00:00Z").code == 0
            assert wallet(f"limits 1/{type_} --minimum-balance -{amount} --daily-debit {amount}").code == 0
            with engines.opened(db) as ledger:
                ledger.run(opening(ledger, type_), "create")
        assert wallet("ledger set currency HRK").code == 0
    monkeypatch.setattr(money, "FORMER", money.FORMER | {"ISK": 2})
    monkeypatch.setattr(money, "ISO_4217", money.ISO_4217 | {"XYZ": 3, "XYW": 2})
    return db


def opening(ledger: engines.Ledger, type_: str, currency: str | None = None) -> Prepared[OpenWallet]:
    """The opening of a wallet with a key; in the currency of its type, unless one is given."""
    name, _, amount = HELD[type_]
    return wallets.create(ledger, WalletName(UserId(1), f"{type_}-3"), currency or name, amount, key=type_)


@pytest.mark.parametrize("type_", HELD)
def test_every_command_goes_on(old: Address, wallet: Run, type_: str, tmp_path: Path) -> None:
    name, digits, amount = HELD[type_]
    smallest = "1" if not digits else f"0.{'1'.rjust(digits, '0')}"
    told = wallet(f"balance 1/{type_} --json").json
    assert (told["currency"], told["balance"], told["minimum_balance"]) == (name, amount, f"-{amount}")
    for line in (
        f"create 1/{type_} --exist-ok",
        f"create 1/{type_} --exist-ok --currency {name}",
        f"limits 1/{type_} --maximum-balance 500",
        f"tx add 1/{type_} {smallest} --debit",
        f"transfer 1/{type_} 1/{type_}-2 {smallest}",
        f"hold add 1/{type_} {smallest}",
        f"tx list 1/{type_} --min {smallest} --json",
        f"tx total 1/{type_} --json",
        f"statement 1/{type_}",
        f"statement 1/{type_} -o html",
        f"statement 1/{type_} -o csv",
        f"verify 1/{type_}",
        f"export 1/{type_} --format hledger",
        f"export 1/{type_} --format beancount",
        f"freeze 1/{type_}",
    ):
        done = wallet(line)
        assert done.code == 0, (line, done.err)
    assert wallet("verify").code == 0
    with engines.opened(old) as ledger:
        assert ledger.run(opening(ledger, type_), "create")["replayed"]
        assert ledger.run(opening(ledger, type_, f"{name.partition('/')[0]}/{digits}"), "create")["replayed"]
        with pytest.raises(KeyReused):
            ledger.run(opening(ledger, type_, f"ABC/{digits}"), "create")
    (tmp_path / "again.jsonl").write_text(json.dumps({"record": "wallet", "wallet": f"1/{type_}", "currency": name}))
    assert wallet(["import", str(tmp_path / "again.jsonl")]).code == 0


def test_the_table_is_asked_where_a_wallet_is_really_opened(old: Address, wallet: Run) -> None:
    """The ledger's own currency has left it: what is there goes on, and how to open others is told."""
    refused = wallet("create 1/new")
    assert refused.code == 2
    assert "the ledger's currency: HRK is no longer in ISO 4217" in refused.err
    assert "HRK/2 is that unit with 2 digits; name one, or change the ledger's" in refused.err
    assert wallet("create 1/kuna --exist-ok --currency JPY").code == 5
    for name, (text, _, _) in HELD.items():
        if name not in ("joined", "changed"):  # whose names are listed now
            assert wallet(f"create 1/not-{name} --currency {text}").code == 2
    assert wallet("ledger set currency HRK/2").code == 0
    assert wallet("create 1/new").code == 0


def test_it_comes_back_as_the_same_bytes(old: Address, tmp_path: Path, engine: Engine) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with engines.opened(old) as source, engines.opened(engine.new(there)) as restored:
        text = "".join(exports.export(source))
        (tmp_path / "x.jsonl").write_text(text)
        with (tmp_path / "x.jsonl").open("rb") as file:
            told: list[str] = []
            assert imports.run(restored, file, report=lambda *line: told.append(str(line)))["refused"] == 0, told
        assert "".join(exports.export(restored)) == text
        assert [each.currency for each in restored.store.wallets()] == [
            each.currency for each in source.store.wallets()
        ]
        verification.verify(restored)
        # Its CSV, too, into the ledger that it came from: a line means the wallet's own currency.
        (tmp_path / "x.csv").write_text("".join(exports.export(source, "csv")))
        with (tmp_path / "x.csv").open("rb") as file:
            assert imports.run(source, file)["refused"] == 0
    engine.forget(there)


def test_it_moves(old: Address, tmp_path: Path, wallet: Run) -> None:
    assert wallet(["move", "--to", str(tmp_path / "moved.db")]).code == 0
    assert cli.run(["--db", str(tmp_path / "moved.db"), "balance", "1/kuna", "-q"]).out == "10.25\n"


def test_an_export_of_while_it_was_listed_is_read(ledger: engines.Ledger, tmp_path: Path) -> None:
    """As it was written then: with no digits, which the table said."""
    lines = (
        '{"record":"ledger","version":1}\n'
        '{"record":"user","id":1,"phone_number":"9886977544","phone_e164":"+919886977544","phone_region":"IN",'
        '"phone_national":"9886977544","name":null,"created_at":"2020-01-01T00:00:00.000000Z"}\n'
        '{"record":"wallet","id":1,"wallet":"+919886977544/main","currency":"HRK","minimum_balance":null,'
        '"created_at":"2020-01-01T00:00:00.000000Z"}\n'
        '{"id":"1-1","wallet":"+919886977544/main","kind":"credit","amount":"10.25",'
        '"at":"2020-01-01T00:00:00.000000Z"}\n{"record":"end","records":4}\n'
    )
    (tmp_path / "x.jsonl").write_text(lines)
    with (tmp_path / "x.jsonl").open("rb") as file:
        assert imports.run(ledger, file)["refused"] == 0
    assert wallets.balance(ledger, parse_wallet("1"))["balance"] == "10.25"
    assert '"currency":"HRK","minimum_balance"' in "".join(exports.export(ledger))


def test_old_and_new_names_of_one_unit_can_be_exchanged(old: Address, wallet: Run) -> None:
    """The same code with the same digits is the same unit; with others, another."""
    assert wallet("create 1/new-kuna --currency HRK/2").code == 0
    assert wallet("create 1/new --currency XYZ").code == 0
    assert wallet("create 1/other --currency XYW").code == 0
    assert wallet("create 1/crown --currency ISK").code == 0
    assert wallet("transfer 1/kuna 1/new-kuna 1.25").code == 0
    assert wallet("transfer 1/joined 1/new 0.255").code == 0
    assert wallet("create 1/joined --exist-ok --currency XYZ").code == 0
    for line, words in (
        ("transfer 1/joined-otherwise 1/other 1", "is in XYW/0 and wallet 1/other in XYW"),
        ("transfer 1/changed 1/crown 1", "is in ISK/2 and wallet 1/crown in ISK"),
        ("create 1/joined-otherwise --exist-ok --currency XYW", "already"),
    ):
        done = wallet(line)
        assert done.code in (2, 5)
        assert words in done.err
    assert wallet("verify").code == 0
    for form in ("hledger", "beancount"):
        assert wallet(f"export --format {form}").code == 0


def test_elsewhere_the_digits_are_those_of_the_answer(
    old: Address, tmp_path: Path, wallet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's table is the real one; here, it is of another year."""
    with Server(tmp_path) as server:
        host, port = server.address
        monkeypatch.setenv("WALLET_TOKEN", server.key("elsewhere"))
        monkeypatch.setenv("WALLET_DB", f"http://{host}:{port}")
        monkeypatch.setattr(money, "ISO_4217", {})
        for type_, (name, _, amount) in HELD.items():
            told = cli.run(f"balance 1/{type_} --json")
            assert (told.json["currency"], told.json["balance"]) == (name, amount)
            assert cli.run(f"create 1/{type_} --exist-ok --currency {name}").code == 0
            assert cli.run(f"tx add 1/{type_} {amount} --credit").code == 0
            assert cli.run(f"statement 1/{type_} -o html").code == 0
            assert cli.run(f"statement 1/{type_}").code == 0


@pytest.mark.parametrize(
    ("text", "digits", "found"),
    [
        ("HRK", None, Currency("HRK", 2)),
        ("HRK", 0, Currency("HRK", 0)),
        ("QQQ", 4, Currency("QQQ", 4)),
        ("QQQ", None, None),
        ("INR", None, Currency("INR", 2)),
        ("INR", 3, Currency("INR", 3)),
        ("INR", 19, None),
        ("PTS/0", None, Currency("PTS/0", 0)),
        ("PTS/0", 0, Currency("PTS/0", 0)),
        ("PTS/0", 1, None),
        ("INR/2", None, Currency("INR/2", 2)),
        ("hrk", 2, None),
        ("", 2, None),
    ],
)
def test_what_a_stored_currency_may_be(text: str, digits: int | None, found: Currency | None) -> None:
    if found is None:
        with pytest.raises(InvalidInput):
            parse_stored(text, digits)
    else:
        assert parse_stored(text, digits) == found
        assert found.is_plain == (digits is None or parse_currency_or_none(text) == found or "/" in text)


def parse_currency_or_none(text: str) -> Currency | None:
    return money.parse_name(text)


@pytest.mark.parametrize("text", ["HRK", "ZWL", "BGN"])
def test_an_old_code_is_had_by_its_digits_alone(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no longer in ISO 4217") as refused:
        parse_currency(text)
    assert f"{text}/2" in str(refused.value.hint)
    assert parse_currency(f"{text}/2").is_same(Currency(text, 2))


@pytest.mark.parametrize("currency", [Currency("INR", 0), Currency("INR", 3), Currency("PTS/0", 2), Currency("HRK", 0)])
def test_digits_that_a_name_never_had_are_found(old: Address, currency: Currency) -> None:
    assert not currency.can_be

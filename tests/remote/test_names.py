"""A name means one user or wallet, however it is spelled, and the same one on a file and from afar.

As tables: each spelling of a name is used in each command that takes one. Two users have the same digits: one in India,
the country of numbers with no `+`, and one in Singapore, whose number has them after the `+`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from remote.place import Place, same

DIGITS = "6598765432"
IN_INDIA = f"+91{DIGITS}"
IN_SINGAPORE = f"+{DIGITS}"
NAMES = {IN_INDIA: "Asha", IN_SINGAPORE: "Mei"}

# How a user is spelled, and whose number it is; None where it is refused, and an id where it is one.
USERS: tuple[tuple[str, str | None], ...] = (
    (DIGITS, IN_INDIA),
    (f" {DIGITS}", IN_INDIA),
    (f"   {DIGITS}  ", IN_INDIA),
    (f"{DIGITS} ", IN_INDIA),
    ("65987 65432", IN_INDIA),
    (" 65987-65432", IN_INDIA),
    (f"\u00a0{DIGITS}", IN_INDIA),
    (f" \u200e{DIGITS}\u2003", IN_INDIA),
    (f"\u3000{DIGITS}", IN_INDIA),
    (f"({DIGITS}", IN_INDIA),
    (f" 0{DIGITS}", IN_INDIA),
    (f"91{DIGITS}", IN_INDIA),
    (" ".join(DIGITS.translate({48 + n: 0x966 + n for n in range(10)})), IN_INDIA),
    (IN_SINGAPORE, IN_SINGAPORE),
    (f" {IN_SINGAPORE}", IN_SINGAPORE),
    (f" + {DIGITS} ", IN_SINGAPORE),
    (f"\u00a0\uff0b{DIGITS}", IN_SINGAPORE),
    ("id:{user}", IN_INDIA),
    (" {user}", IN_INDIA),
    ("{user} ", IN_INDIA),
    (" 77777", None),
    (" id:{user} ", IN_INDIA),
    ("id: {user}", None),
    ("\u00a0{user}", None),
    ("\t{user}", None),
    (f"\t{DIGITS}", None),
    (f"{DIGITS}\n", None),
    (" w{wallet}\t", None),
    ("ref:{user}", None),
    (" ref:a", None),
    ("", None),
    (" ", None),
    (" +", None),
)

WALLETS = (
    "{user}/x ",
    "  {user}/x",
    " {user} /x ",
    " id:{user}/x ",
    f" {DIGITS}/x ",
    " w{wallet}",
    "w{wallet} ",
    "Asha/x ",
)
"""How a wallet of a type is spelled, with spaces around."""

COMMANDS = (
    *("balance {}", "tx list {}", "tx total {}", "history {}", "statement {}", "chart {}", "hold list {}", "export {}"),
    *("list {}", "audit {}", "verify {}", "token {}", "find {}", "users --text {}", "register {} --exist-ok"),
    *("create {} --exist-ok", "create {}/x --exist-ok", "limits {} --daily-debit 900", "freeze {}/x", "unfreeze {}/x"),
    *("credit {} 5 --key a", "debit {} 1 --note tea", "hold add {} 1", "transfer {} {}/jar 1", "transfer {}/jar {} 1"),
)
"""Whatever takes a name."""

ODD = (f" {DIGITS}", f" {IN_SINGAPORE}", f" \u00a0{DIGITS} ", " {user}", "\t{user}", " 0")

FILE = "odd.csv"


@pytest.fixture(scope="module")
def owners(module_place: Place) -> dict[str, int]:
    """Who has which number; each of the two has the wallets main, jar and x, with 100 in main and jar."""
    found = {}
    for number in (IN_INDIA, IN_SINGAPORE):
        found[number] = module_place.from_afar(["register", number, "--name", NAMES[number], "--json"]).json["id"]
        for type_ in ("main", "jar", "x"):
            assert module_place.from_afar(["create", f"{number}/{type_}"]).code == 0
        for type_ in ("main", "jar"):
            assert module_place.from_afar(["credit", f"{number}/{type_}", "100"]).code == 0
    return found


def spelled(name: str, owners: dict[str, int]) -> str:
    return name.replace("{user}", str(owners[IN_INDIA])).replace("{wallet}", "1")


@pytest.mark.on_file("who is meant is found by code that both engines share")
@pytest.mark.parametrize(("name", "number"), USERS, ids=[ascii(name) for name, _ in USERS])
def test_a_name_means_the_same(place: Place, owners: dict[str, int], name: str, number: str | None) -> None:
    name = spelled(name, owners)
    for line in (["balance", name], ["balance", f"{name}/jar"], ["credit", name, "5", "--key", "k"]):
        done = same(place.both([*line, "--json"]))
        assert (done.code == 0) == (number is not None), done.err
        if number is not None and line[0] == "balance":
            assert done.json["user_id"] == owners[number]


@pytest.mark.on_file("who is meant is found by code that both engines share")
@pytest.mark.parametrize("name", WALLETS)
def test_a_wallet_is_the_same_with_spaces_around_its_name(place: Place, owners: dict[str, int], name: str) -> None:
    wallet = f"{owners[IN_INDIA]}/x"
    id_ = str(place.from_afar(["balance", wallet, "--json"]).json["id"])
    name = name.replace("{user}", str(owners[IN_INDIA])).replace("{wallet}", id_)
    assert same(place.both(["balance", name, "--json"])).json["wallet"] == wallet
    assert same(place.both(["audit", name, "-q"])).out == place.from_afar(["audit", wallet, "-q"]).out != ""


@pytest.mark.on_file("who is meant is found by code that both engines share")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_means_the_same(place: Place, owners: dict[str, int], command: str) -> None:
    for name in ODD:
        text = spelled(name, owners)
        same(place.both([part.replace("{}", text) for part in command.split()]))


def test_a_file_means_the_same(place: Place, owners: dict[str, int]) -> None:
    lines = [f'"{spelled(name, owners)}",1,credit' for name, _ in USERS if name.isprintable() and name.strip()]
    Path(FILE).write_text("\n".join(["wallet,amount,kind", *lines]), "utf-8")
    same(place.both(["import", FILE, "--json"]))


@pytest.mark.on_file("the region is chosen, and the number read, by code that both engines share")
def test_a_short_number_that_is_registered_is_not_an_id(place: Place) -> None:
    """In Niue, numbers have four digits; as a USER, they would be an id."""
    for _ in range(2):
        done = same(place.both(["register", " 4002", "--exist-ok", "--json"], {"WALLET_PHONE_REGION": "NU"}))
        assert (done.code, done.json["phone_e164"]) == (0, "+6834002"), done.err

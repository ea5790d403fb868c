"""A password in an address is shown nowhere: however the address is written, and wherever it was typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import run

from wallet_cli.errors import shown, shown_url, unsecret

SECRET = "s3cr3t"
AT = "127.0.0.1:1/ledger"
"""Where nobody answers."""

ADDRESSES = {
    "as it should be": f"postgresql://own:{SECRET}@{AT}",
    "escaped": f"postgresql://own:{SECRET}%40%2F%3A@{AT}",
    "with an at sign": f"postgresql://own:a@{SECRET}@{AT}",
    "longer than what is shown of a text": f"postgresql://own:{'x' * 30}{SECRET * 9}@{AT}",
    "without slashes": f"postgresql:own:{SECRET}@{AT}",
    "without the colon": f"postgresql//own:{SECRET}@{AT}",
    "with one slash": f"postgres:/own:{SECRET}@{AT}",
    "in capitals": f"POSTGRESQL://own:{SECRET}@{AT}",
    "an option": f"postgresql://own@{AT}?password={SECRET}",
    "an option with its name escaped": f"postgresql://own@{AT}?%70assword={SECRET}",
    "an option with a slip in its name": f"postgresql://own@{AT}?sslmode=disable&passwrd={SECRET}",
    "a key": f"postgresql://own@{AT}?scram_client_key={SECRET}",
    "a client's secret": f"postgresql://own@{AT}?oauth_client_secret={SECRET}&sslmode=disable",
    "a certificate's": f"postgresql://own@{AT}?sslpassword={SECRET}",
}
PLACES = (
    "URL", "move URL", "import URL", "restore URL --yes", "--env-file URL balance 1", "--ledger URL balance 1",
    "--ledger URL doctor", "--ledger URL serve", "config get URL", "config set URL 1", "config unset URL",
    "config set db URL", "init URL", "users URL", "register URL", "balance URL", "tx add 1 URL --credit", "serve URL",
    "--db URL balance 1", "--db URL config show", "--db URL config get db", "--db URL doctor", "--db URL backup x",
    "--db URL restore x", "--db URL move --to y", "move --to URL --yes", "balance 1 --db URL", "find URL",
)  # fmt: skip


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLET_DB", str(tmp_path / "none.db"))


@pytest.mark.parametrize("place", PLACES)
def test_a_password_is_not_shown(place: str) -> None:
    for name, address in ADDRESSES.items():
        words = [address if word == "URL" else word for word in place.split()]
        for form in ((), ("--json",)):
            done = run([*words, *form])
            assert SECRET not in done.out + done.err, name


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://own@127.0.0.1:5432/ledger?host=/run&sslmode=verify-full&target_session_attrs=any",
        "postgresql:///ledger?host=/run/postgresql&options=-csearch_path%3Dbooks",
        "https://ledger.example.com:8000/api",
        "/var/lib/wallet.db",
        "to whom: me@example.com",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert (shown_url(text), unsecret(text)) == (text, text)


@pytest.mark.parametrize("part", ["a", "?a=", "x://", "postgres:", "a://b?c=d&"])
def test_a_text_of_ten_million_characters_is_shown(part: str) -> None:
    """In the time of its length: a search that is slow in the square of it would never end here."""
    assert len(shown(part * (10_000_000 // len(part)))) < 100

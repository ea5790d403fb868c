"""Where a setting comes from: flag > environment > .env > config.toml > default."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from support import cli

from wallet_cli import settings
from wallet_cli.domain.host import host_of
from wallet_cli.errors import InvalidInput
from wallet_cli.operations.tokens import open_tokens

SEED_DOTENV = """\
JWT_SECRET_KEY='ScuqXHWTSBlzE6Zlp3jE2iExBqrRSTm8KbWw+IbA/oc='
FLASK_ENV='development'
JWT_ACCESS_TOKEN_EXPIRES=5
MINIMUM_BALANCE=20
"""


def load(tmp_path: Path, flags: dict[str, str], environ: dict[str, str]) -> settings.Settings:
    return settings.load(flags, environ, folder=tmp_path, config=tmp_path / "config.toml")


def test_precedence_falls_from_flag_to_default(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('db = "from-config"\n')
    (tmp_path / ".env").write_text("WALLET_DB=from-dotenv\n")
    environ = {"WALLET_DB": "from-environment"}

    found = [load(tmp_path, {"db": "from-flag"}, environ).db, load(tmp_path, {}, environ).db]
    found.append(load(tmp_path, {}, {}).db)
    (tmp_path / ".env").unlink()
    found.append(load(tmp_path, {}, {}).db)
    (tmp_path / "config.toml").unlink()
    found.append(load(tmp_path, {}, {}).values["db"].source)

    assert found == ["from-flag", "from-environment", "from-dotenv", "from-config", "default"]


def test_the_dotenv_of_the_original_application_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(SEED_DOTENV)
    values = load(tmp_path, {}, {}).values
    assert values["jwt_secret_key"] == ("ScuqXHWTSBlzE6Zlp3jE2iExBqrRSTm8KbWw+IbA/oc=", ".env: JWT_SECRET_KEY")
    assert values["env"] == ("development", ".env: FLASK_ENV")
    assert values["jwt_access_token_expires"] == ("5", ".env: JWT_ACCESS_TOKEN_EXPIRES")
    assert values["minimum_balance"] == ("20", ".env: MINIMUM_BALANCE")


def test_a_dollar_in_a_dotenv_value_is_a_dollar(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JWT_SECRET_KEY=a${HOME}b\n")
    assert load(tmp_path, {}, {}).values["jwt_secret_key"].text == "a${HOME}b"


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert load(tmp_path, {}, {"WALLET_CURRENCY": ""}).currency.name == "INR"


def test_minimum_balance_wins_over_its_longer_name(tmp_path: Path) -> None:
    environ = {"MINIMUM_BALANCE": "5", "WALLET_MINIMUM_BALANCE": "6"}
    assert load(tmp_path, {}, environ).minimum_balance == "5"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    rows = load(tmp_path, {}, {"JWT_SECRET_KEY": "hush"}).shown()
    secret = next(row for row in rows if row["name"] == "jwt_secret_key")
    assert secret == {"name": "jwt_secret_key", "value": "(set, not shown)", "source": "JWT_SECRET_KEY"}


@pytest.mark.parametrize(
    ("variable", "text", "attribute"),
    [
        ("WALLET_CURRENCY", "rupees", "currency"),
        ("MINIMUM_BALANCE", "a lot", "minimum_balance"),
        ("WALLET_TIMEZONE", "Mars/Olympus", "timezone"),
        ("WALLET_TIMEZONE", "../../etc/passwd", "timezone"),
        ("WALLET_LOCK_TIMEOUT", "soon", "lock_timeout_s"),
        ("WALLET_LOCK_TIMEOUT", "-1", "lock_timeout_s"),
        ("WALLET_LOCK_TIMEOUT", "nan", "lock_timeout_s"),
        ("WALLET_LOCK_TIMEOUT", "inf", "lock_timeout_s"),
    ],
)
def test_a_wrong_value_is_refused_when_used_and_names_its_source(
    tmp_path: Path, variable: str, text: str, attribute: str
) -> None:
    found = load(tmp_path, {}, {variable: text})
    with pytest.raises(InvalidInput, match=variable):
        getattr(found, attribute)


@pytest.mark.parametrize("text", ["databse = 'x'\n", "db = ['x']\n", "db = true\n", "db = \n", "db = " + "[" * 2000])
def test_a_config_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.toml"):
        load(tmp_path, {}, {})


# --- a .env that one happens to stand beside ------------------------------------------------------------------------


def told(tmp_path: Path, flags: dict[str, str], environ: dict[str, str]) -> tuple[settings.Settings, list[str]]:
    said: list[str] = []
    found = settings.load(flags, environ, folder=tmp_path, config=tmp_path / "config.toml", notify=said.append)
    return found, said


@pytest.mark.parametrize(
    "line",
    [
        "WALLET_DB=https://evil.example.org",
        "WALLET_DB=http://127.0.0.1:5000",
        "WALLET_DB=HTTPS://evil.example.org",
        "WALLET_DB=postgresql://evil.example.org/wallet",
        "WALLET_DB='postgres://evil.example.org/wallet'",
        "export WALLET_DB=postgresql://evil.example.org/wallet",
        "WALLET_DB='host=evil.example.org dbname=wallet'",
        "WALLET_DB=' hostaddr = 192.0.2.1'",
        "WALLET_DB=service=evil",
        "WALLET_DB=//evil.example.org/share/wallet.db",
        r"WALLET_DB=\\evil.example.org\share\wallet.db",
        "WALLET_DB=file://evil.example.org/wallet.db",
        "WALLET_TOKEN=wk_x",
        "WALLET_TOKEN_FILE=/home/me/.local/share/wallet/jwt_secret_key",
        "WALLET_CA_FILE=evil.pem",
        "PGHOST=evil.example.org",
        "PGPASSFILE=x",
        "PGSERVICE=x",
        "PGSSLROOTCERT=x",
    ],
)
def test_a_dotenv_names_nobody_elsewhere_and_no_secret_of_them(tmp_path: Path, line: str) -> None:
    """Each is ignored and said so once; what else stands there counts. A ledger that nothing else names is refused."""
    (tmp_path / ".env").write_text(f"{line}\nWALLET_CURRENCY=EUR\n")
    before = dict(os.environ)
    name = line.removeprefix("export ").partition("=")[0]
    if name == "WALLET_DB":
        with pytest.raises(InvalidInput, match="names the ledger, but cannot be trusted"):
            told(tmp_path, {}, {})
        said: list[str] = []
        shown = settings.load({}, {}, tmp_path, tmp_path / "config.toml", said.append, to_show=True)
        assert (shown.values["db"].source, ["refused" in each for each in said]) == ("default", [True, False])
        (tmp_path / "config.toml").write_text('db = "mine.db"\n')
    for flags in ({}, {"db": "mine.db"}):
        found, said = told(tmp_path, flags, {})
        assert found.currency.name == "EUR"
        assert found.db == "mine.db" or (found.values["db"].source, name == "WALLET_DB") == ("default", False)
        for setting in ("token", "token_file", "ca_file"):
            assert found.values[setting].source == "default"
        assert len(said) == 1
        assert name in said[0]
        assert "\n" not in said[0]
        assert "wk_x" not in said[0]
    assert dict(os.environ) == before


def test_a_dotenv_hides_nothing_that_it_may_not_say(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('db = "https://mine.example.org"\n')
    (tmp_path / ".env").write_text("WALLET_DB=https://evil.example.org\nWALLET_TOKEN=\nPGHOST=\n")
    found, said = told(tmp_path, {}, {})
    assert found.db == "https://mine.example.org"
    assert len(said) == 1  # what is empty is unset


@pytest.mark.parametrize("path", ["wallet.db", "data/my=wallet.db", "/var/lib/wallet.db", "../wallet.db", "c:x"])
def test_a_path_in_a_dotenv_is_plain(tmp_path: Path, path: str) -> None:
    (tmp_path / ".env").write_text(f"WALLET_DB='{path}'\n")
    found, said = told(tmp_path, {}, {})
    assert (found.db, said) == (path, [])


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620, 0o602])
def test_a_dotenv_that_others_may_write_is_ignored(tmp_path: Path, mode: int) -> None:
    env = tmp_path / ".env"
    env.write_text("WALLET_CURRENCY=EUR\n")
    env.chmod(mode)
    found, said = told(tmp_path, {}, {})
    assert found.currency.name == "INR"
    assert len(said) == 1
    assert "others may write" in said[0]


@pytest.mark.parametrize("mode", [0o664, 0o602])
def test_an_untrusted_dotenv_that_names_the_ledger_is_refused(tmp_path: Path, mode: int) -> None:
    """The command would go on with another ledger, the default or that of config.toml."""
    env = tmp_path / ".env"
    env.write_text("WALLET_CURRENCY=EUR\nWALLET_DB=mine.db\n")
    env.chmod(mode)
    (tmp_path / "config.toml").write_text('db = "other.db"\n')
    with pytest.raises(InvalidInput, match="names the ledger, but cannot be trusted: others may write"):
        told(tmp_path, {}, {})
    said: list[str] = []
    shown = settings.load({}, {}, tmp_path, tmp_path / "config.toml", said.append, to_show=True)
    assert (shown.db, shown.currency.name) == ("other.db", "INR")
    assert ["refused" in line for line in said] == [True, False]
    for flags, environ in (({"db": "x.db"}, {}), ({}, {"WALLET_DB": "x.db"})):
        found, said = told(tmp_path, flags, environ)
        assert (found.db, found.currency.name, len(said)) == ("x.db", "INR", 1)
    assert told(tmp_path, {"env_file": str(env)}, {})[0].db == "mine.db"
    env.write_text("WALLET_DB=\n")
    assert told(tmp_path, {}, {})[0].db == "other.db"


def test_a_dotenv_that_links_to_one_that_others_may_write_is_ignored(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("WALLET_CURRENCY=EUR\n")
    there.chmod(0o666)
    (tmp_path / ".env").symlink_to(there)
    found, said = told(tmp_path, {}, {})
    assert (found.currency.name, len(said)) == ("INR", 1)
    there.chmod(0o644)
    assert told(tmp_path, {}, {})[0].currency.name == "EUR"


@pytest.mark.parametrize("whose", ["the file", "the link", "what it links to"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_dotenv_of_another_user_is_ignored(tmp_path: Path, whose: str) -> None:
    env = tmp_path / ".env"
    there = env if whose == "the file" else tmp_path / "there"
    there.write_text("WALLET_CURRENCY=EUR\n")
    if there is not env:
        env.symlink_to(there)
    os.chown(env if whose == "the link" else there, 12345, 12345, follow_symlinks=False)
    found, said = told(tmp_path, {}, {})
    assert found.currency.name == "INR"
    assert len(said) == 1
    assert "another user" in said[0]


def test_a_dotenv_of_roots_is_another_users_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("WALLET_CURRENCY=EUR\n")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert told(tmp_path, {}, {})[0].currency.name == "INR"
    (tmp_path / ".env").write_text("WALLET_DB=shop.db\n")
    with pytest.raises(InvalidInput, match="belongs to another user") as refused:
        load(tmp_path, {}, {})
    assert "chmod" not in str(refused.value.hint)  # nothing that its mode allows is wrong


def test_a_dotenv_that_is_no_file_or_too_much_of_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    assert told(tmp_path, {}, {})[1] == []
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").write_text("A=" + "x" * 100_000)
    with pytest.raises(InvalidInput, match="more than"):
        load(tmp_path, {}, {})
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(InvalidInput, match="UTF-8"):
        load(tmp_path, {}, {})


# --- a file that was named ------------------------------------------------------------------------------------------


def test_a_file_that_was_named_is_read_in_place_of_a_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("WALLET_CURRENCY=EUR\nWALLET_TOKEN=x\n")
    named = tmp_path / "mine.env"
    named.write_text("WALLET_DB=https://mine.example.org\nWALLET_TOKEN=wk_y\nPGHOST=db\nPGPASSWORD=z\n")
    named.chmod(0o600)
    found, said = told(tmp_path, {"env_file": str(named)}, {})
    assert (found.db, found.currency.name, said) == ("https://mine.example.org", "INR", [])
    assert found.token_for("mine.example.org:443") == "wk_y"
    assert (os.environ.pop("PGHOST"), os.environ.pop("PGPASSWORD")) == ("db", "z")
    assert told(tmp_path, {"env_file": str(named)}, {"WALLET_DB": "x"})[0].db == "x"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_with_secrets_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """When the secret is asked for: which it is, no message says."""
    named = tmp_path / "mine.env"
    for text in ("WALLET_TOKEN=wk_y", "JWT_SECRET_KEY=" + "s" * 40):
        named.write_text(text + "\n")
        named.chmod(mode)
        found = load(tmp_path, {"env_file": str(named)}, {})
        with pytest.raises(InvalidInput, match=f"{mode:04o}") as refused:
            found.token_for("mine.example.org:443") if "TOKEN" in text else open_tokens(found)
        assert text.partition("=")[2] not in str(refused.value)
    named.write_text("PGPASSWORD=z\n")
    with pytest.raises(InvalidInput, match="PGPASSWORD"):
        load(tmp_path, {"env_file": str(named)}, {})
    assert "PGPASSWORD" not in os.environ
    config = tmp_path / "config.toml"
    for text in ('token = "wk_y"', f'jwt_secret_key = "{"s" * 40}"'):
        config.write_text(text)
        config.chmod(mode)
        with pytest.raises(InvalidInput, match=f"{mode:04o}"):
            load(tmp_path, {}, {}).token_for("h:443") if "token" in text else open_tokens(load(tmp_path, {}, {}))
        config.chmod(0o600)
        if "token" in text:
            assert load(tmp_path, {}, {}).token_for("h:443") == "wk_y"
        else:
            open_tokens(load(tmp_path, {}, {}))


def test_a_secret_that_others_may_read_is_for_development(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"JWT_SECRET_KEY={'s' * 40}\n")
    env.chmod(0o644)
    with pytest.raises(InvalidInput, match="0644"):
        open_tokens(load(tmp_path, {}, {}))
    _, warning = open_tokens(load(tmp_path, {}, {"FLASK_ENV": "development"}))
    assert warning is not None
    assert "0644" in warning
    env.chmod(0o600)
    assert open_tokens(load(tmp_path, {}, {}))[1] is None


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("none", "."):
        with pytest.raises(InvalidInput, match="cannot read"):
            load(tmp_path, {"env_file": str(tmp_path / name)}, {})
    with pytest.raises(InvalidInput, match="--env-file is empty"):
        load(tmp_path, {"env_file": ""}, {})


def a_loop(config: Path) -> None:
    config.symlink_to(config.name)


def a_folder(config: Path) -> None:
    config.mkdir()


@pytest.mark.parametrize("make", [a_loop, a_folder, os.mkfifo])
def test_a_config_file_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    """It may name the ledger: a command would write into another one."""
    config = tmp_path / "config.toml"
    make(config)
    with pytest.raises(InvalidInput, match="cannot read") as refused:
        load(tmp_path, {}, {})
    assert refused.value.hint is not None
    monkeypatch.setenv("WALLET_CONFIG", str(config))
    for line in ("config set currency EUR", "config unset currency", "register 9886977544"):
        assert cli.run(line).code == 2, line
    if make is a_loop:  # it may be another user's, and something else says which ledger is meant
        assert (load(tmp_path, {"db": "x.db"}, {}).db, load(tmp_path, {}, {"WALLET_DB": "y.db"}).db) == ("x.db", "y.db")


def test_the_null_device_is_no_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WALLET_CONFIG", os.devnull)
    assert cli.run("register 9886977544 -q").out == "1\n"
    assert cli.run("config get currency -q").out == "INR\n"
    assert cli.run("config set currency EUR").code == 2
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


# --- whom a token is for --------------------------------------------------------------------------------------------

HERE, EVIL = "mine.example.org:443", "evil.example.org:443"


@pytest.mark.parametrize(
    ("config", "environ", "flag", "sent"),
    [
        # The token of the environment is for the ledger of the environment, else for that of the config file.
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": f"https://{HERE}"}, None, True),
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": "https://Mine.example.org/till"}, None, True),
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": f"https://{HERE}"}, "https://evil.example.org", False),
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": f"https://{HERE}"}, "https://mine.example.org:444", False),
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": f"https://{HERE}"}, "https://mine.example.org.evil.example.org", False),
        (f'db = "https://{HERE}"', {"WALLET_TOKEN": "t"}, "https://evil.example.org", False),
        (f'db = "https://{HERE}"', {"WALLET_TOKEN": "t"}, None, True),
        # Where only the command names one, both were given to it.
        ("", {"WALLET_TOKEN": "t"}, "https://mine.example.org", True),
        ("", {"WALLET_TOKEN": "t", "WALLET_DB": "wallet.db"}, "https://mine.example.org", True),
        # That of the config file is for the ledger of the config file.
        (f'db = "https://{HERE}"\ntoken = "t"', {}, None, True),
        (f'db = "https://{HERE}"\ntoken = "t"', {"WALLET_DB": "https://evil.example.org"}, None, False),
        (f'db = "https://{HERE}"\ntoken = "t"', {}, "https://evil.example.org", False),
        (f'db = "https://{HERE}"\ntoken_file = "FILE"', {"WALLET_DB": "https://evil.example.org"}, None, False),
        ('token_file = "FILE"', {"WALLET_DB": f"https://{HERE}"}, "https://evil.example.org", False),
        ('token_file = "FILE"', {"WALLET_DB": f"https://{HERE}"}, None, True),
    ],
)
def test_a_token_is_for_the_ledger_that_is_named_beside_it(
    tmp_path: Path, config: str, environ: dict[str, str], flag: str | None, sent: bool
) -> None:
    file = tmp_path / "kept.token"
    file.write_text("t\n")
    file.chmod(0o600)
    (tmp_path / "config.toml").write_text(config.replace("FILE", str(file)))
    (tmp_path / "config.toml").chmod(0o600)
    found = load(tmp_path, {} if flag is None else {"db": flag}, environ)
    host = host_of(found.db)
    assert host is not None
    if sent:
        assert found.token_for(host) == "t"
    else:
        with pytest.raises(InvalidInput, match="the token is for"):
            found.token_for(host)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.org", "example.org:443"),
        ("http://user@EXAMPLE.org:5000/path", "example.org:5000"),
        ("https://[::1]:5000", "[::1]:5000"),
        ("https://till_1.example.org.", "till_1.example.org.:443"),
        # What stands beside the brackets, or is no name, would be another host than the one that is called.
        ("https://example.org[::1]:5000", None),
        ("https://[::1]5000", None),
        ("https://x[:@]:1", None),
        ("https://a b", None),
        ("https://a'b", None),
        ("https://a\\b", None),
    ],
)
def test_the_host_that_a_token_is_for(url: str, host: str | None) -> None:
    assert host_of(url) == host


def test_a_token_file_may_say_the_host_of_each(tmp_path: Path) -> None:
    file = tmp_path / "kept.token"
    file.write_text("mine.example.org  t1\n\nlocalhost:5000 t2\n[::1]:5000 t3\n")
    file.chmod(0o600)
    found = load(tmp_path, {}, {"WALLET_TOKEN_FILE": str(file), "WALLET_DB": "https://evil.example.org"})
    hosts = (HERE, "localhost:5000", "[::1]:5000", EVIL, "mine.example.org:444", "localhost:80")
    assert [found.token_for(host) for host in hosts] == ["t1", "t2", "t3", None, None, None]


@pytest.mark.parametrize("text", ["a b c", "t1\nt2", "a t1\nt2", "a t1\na t2", "a t1\nA:443 t2", "/ t1", "a:x t1"])
def test_a_token_file_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kept.token"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(tmp_path, {}, {"WALLET_TOKEN_FILE": str(file)}).token_for(HERE)


def test_a_config_file_others_may_write_directs_no_token(tmp_path: Path) -> None:
    file, config = tmp_path / "kept.token", tmp_path / "config.toml"
    file.write_text("t\n")
    file.chmod(0o600)
    config.write_text(f'db = "https://{EVIL}"\n')
    config.chmod(0o666)
    with pytest.raises(InvalidInput, match="0666"):
        load(tmp_path, {}, {"WALLET_TOKEN_FILE": str(file)}).token_for(EVIL)


@pytest.mark.parametrize(("most", "minutes"), [("3", 3), ("5", 5), ("6", 5), (None, 5)])
def test_a_bound_below_the_default_is_what_a_token_has(tmp_path: Path, most: str | None, minutes: int) -> None:
    found = load(tmp_path, {}, {} if most is None else {"JWT_MAX_TOKEN_EXPIRES": most})
    assert found.jwt_access_token_expires_minutes == minutes


def test_no_token_may_be_made_for_longer_than_the_bound(tmp_path: Path) -> None:
    found = load(tmp_path, {}, {"JWT_ACCESS_TOKEN_EXPIRES": "61", "JWT_MAX_TOKEN_EXPIRES": "60"})
    with pytest.raises(InvalidInput, match="jwt_access_token_expires"):
        open_tokens(found)
    for text in ("0", "525601", "x", "1.5", "-1", "00000059999999", "9" * 5000, "\u0665"):
        with pytest.raises(InvalidInput, match="jwt_max_token_expires"):
            open_tokens(load(tmp_path, {}, {"JWT_MAX_TOKEN_EXPIRES": text}))


# --- ledgers by name ------------------------------------------------------------------------------------------------

NAMED = """
[ledgers.till]
db = "https://mine.example.org"

[ledgers.shop]
db = "shop.db"
"""


@pytest.mark.parametrize(
    ("flags", "environ", "dotenv", "config", "db"),
    [
        ({"ledger": "till"}, {"WALLET_DB": "e.db"}, "WALLET_DB=d.db", 'db = "c.db"', f"https://{HERE[:-4]}"),
        ({"db": "f.db"}, {"WALLET_LEDGER": "till"}, "", "", "f.db"),
        ({}, {"WALLET_LEDGER": "till"}, "WALLET_DB=d.db", 'db = "c.db"', f"https://{HERE[:-4]}"),
        ({}, {"WALLET_DB": "e.db"}, "WALLET_LEDGER=shop", "", "e.db"),
        ({}, {}, "WALLET_LEDGER=shop", 'db = "c.db"', "shop.db"),
        ({}, {}, "WALLET_DB=d.db", 'ledger = "till"', "d.db"),
        ({}, {}, "", 'ledger = "shop"', "shop.db"),
    ],
)
def test_a_ledger_by_name_counts_where_its_name_stands(
    tmp_path: Path, flags: dict[str, str], environ: dict[str, str], dotenv: str, config: str, db: str
) -> None:
    (tmp_path / "config.toml").write_text(config + NAMED)
    (tmp_path / ".env").write_text(dotenv + "\n")
    found = load(tmp_path, flags, environ)
    assert found.db == db
    assert found.ledger == {f"https://{HERE[:-4]}": "till", "shop.db": "shop"}.get(db)


@pytest.mark.parametrize(
    ("flags", "environ", "config"),
    [
        ({"ledger": "till", "db": "x"}, {}, ""),
        ({}, {"WALLET_DB": "x", "WALLET_LEDGER": "till"}, ""),
        ({}, {}, 'db = "x"\nledger = "till"'),
    ],
)
def test_one_place_does_not_name_two_ledgers(
    tmp_path: Path, flags: dict[str, str], environ: dict[str, str], config: str
) -> None:
    (tmp_path / "config.toml").write_text(config + NAMED)
    with pytest.raises(InvalidInput, match="both name the ledger"):
        load(tmp_path, flags, environ)


def test_a_ledger_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(NAMED)
    with pytest.raises(InvalidInput, match="no ledger called 'tlil'") as refused:
        load(tmp_path, {"ledger": "tlil"}, {})
    assert refused.value.hint == "did you mean till? there are: till, shop"
    (tmp_path / "config.toml").unlink()
    with pytest.raises(InvalidInput) as refused:
        load(tmp_path, {"ledger": "tlil"}, {})
    assert "adds one" in (refused.value.hint or "")


def test_a_dotenv_chooses_no_ledger_elsewhere_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('db = "c.db"' + NAMED)
    (tmp_path / ".env").write_text("WALLET_LEDGER=till\nWALLET_CURRENCY=EUR\n")
    found, said = told(tmp_path, {}, {})
    assert (found.db, found.currency.name, len(said)) == ("c.db", "EUR", 1)
    assert "WALLET_LEDGER" in said[0]
    (tmp_path / ".env").chmod(0o666)
    with pytest.raises(InvalidInput, match="cannot be trusted"):
        told(tmp_path, {}, {})
    assert told(tmp_path, {"ledger": "shop"}, {})[0].db == "shop.db"
    (tmp_path / ".env").chmod(0o600)
    assert told(tmp_path, {"env_file": str(tmp_path / ".env")}, {})[0].db == f"https://{HERE[:-4]}"


@pytest.mark.parametrize(
    ("table", "flags", "environ", "sent"),
    [
        # What the table says goes with its address, whatever the environment has for another one.
        ('token = "t"', {"ledger": "till"}, {"WALLET_TOKEN": "other"}, "t"),
        ('token_file = "FILE"', {"ledger": "till"}, {"WALLET_TOKEN": "other"}, "kept"),
        ('token = "t"', {}, {"WALLET_LEDGER": "till"}, "t"),
        # A token is for the ledger that is named beside it, by its name too.
        ("", {}, {"WALLET_LEDGER": "till", "WALLET_TOKEN": "mine"}, "mine"),
        ("", {"ledger": "till"}, {"WALLET_LEDGER": "evil", "WALLET_TOKEN": "evil's"}, None),
        ("", {"ledger": "till"}, {"WALLET_DB": f"https://{EVIL}", "WALLET_TOKEN": "evil's"}, None),
        ("", {"db": f"https://{HERE}"}, {"WALLET_LEDGER": "evil", "WALLET_TOKEN": "evil's"}, None),
    ],
)
def test_a_token_is_for_the_ledger_that_has_it_or_is_named_beside_it(
    tmp_path: Path, table: str, flags: dict[str, str], environ: dict[str, str], sent: str | None
) -> None:
    file, config = tmp_path / "kept.token", tmp_path / "config.toml"
    file.write_text("kept\n")
    file.chmod(0o600)
    config.write_text(
        f'[ledgers.till]\ndb = "https://{HERE}"\n{table.replace("FILE", str(file))}\n'
        f'[ledgers.evil]\ndb = "https://{EVIL}"\n'
    )
    config.chmod(0o600)
    found = load(tmp_path, flags, environ)
    if sent is not None:
        assert found.token_for(HERE) == sent
    else:
        with pytest.raises(InvalidInput, match="the token is for"):
            found.token_for(HERE)
    if "token =" in table:
        config.chmod(0o644)
        with pytest.raises(InvalidInput, match="0644"):
            load(tmp_path, flags, environ).token_for(HERE)


@pytest.mark.parametrize(
    "text",
    [
        *("ledgers = 1", "[ledgers]\nx = 1", "[ledgers.x]\ntoken = 't'", "[ledgers.x]\ndb = 'x'\nenv = 'y'"),
        *("[ledgers.'a b']\ndb = 'x'", "[ledgers.x]\ndb = ['x']", "[ledgers.x.y]\ndb = 'x'"),
    ],
)
def test_a_table_of_ledgers_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.toml"):
        load(tmp_path, {}, {})


@pytest.mark.parametrize("home", [None, "", "/home/asha", "home/asha", "~"])
@pytest.mark.parametrize("xdg", [None, "", "/etc/xdg one", "relative", "~/.own"])
@pytest.mark.parametrize("is_android", [False, True])
def test_the_users_folders_are_those_of_platformdirs(
    home: str | None, xdg: str | None, is_android: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"HOME": home, "XDG_CONFIG_HOME": xdg, "XDG_DATA_HOME": xdg, "WALLET_CONFIG": None}
    given["ANDROID_DATA"] = "/data" if is_android else None
    for name, value in given.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert settings.config_path() == platformdirs.user_config_path("wallet") / "config.toml"
    assert settings.data_folder() == platformdirs.user_data_path("wallet")

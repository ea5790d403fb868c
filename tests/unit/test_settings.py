"""Where a setting comes from: flag > environment > .env > config.toml > default."""

from __future__ import annotations

from pathlib import Path

import pytest

from wallet_cli import settings
from wallet_cli.errors import InvalidInput

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


@pytest.mark.parametrize("text", ["databse = 'x'\n", "db = ['x']\n", "db = true\n", "db = \n"])
def test_a_config_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.toml"):
        load(tmp_path, {}, {})

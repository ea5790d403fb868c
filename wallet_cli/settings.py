"""Settings, and where each came from: flag > environment > `.env` > config.toml > what the ledger says > default.

Each is text until somebody needs it, and is checked then: a wrong time zone does not keep anybody from paying. The
libraries that read the two files are imported only where there is a file to read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.money import MAX_EXPONENT, Currency, parse_currency, parse_minimum
from wallet_cli.domain.period import UTC_NAME, check_zone
from wallet_cli.errors import InvalidInput, shown, shown_url

APP_NAME = "wallet"
MAX_LOCK_TIMEOUT_S = 86_400.0
MAX_EXPIRES_MINUTES = 525_600
"""How long a user token may be good: a year."""


class Setting(NamedTuple):
    """A setting: its name, the environment variables that hold it (the first one set wins), and its default."""

    name: str
    variables: tuple[str, ...]
    default: str
    secret: bool = False


MAX_TOKEN_FILE_BYTES = 8192

DB_DEFAULT = "(data folder)/wallet.db"
MADE_WHEN_NEEDED = "(made when first needed)"
SYSTEM_ZONE = "system"
LEDGER = "ledger"
"""The source of what nobody chose here, and the ledger itself says."""

TOKEN_DEFAULT = "(from the token file)"  # noqa: S105  (no token)
TOKEN_FILE_DEFAULT = "(beside the config file)/token"  # noqa: S105
CA_FILE_DEFAULT = "(the well-known ones)"
SETTINGS = (
    Setting("db", ("WALLET_DB",), DB_DEFAULT),
    Setting("currency", ("WALLET_CURRENCY",), "INR"),
    Setting("phone_region", ("WALLET_PHONE_REGION",), "IN"),
    Setting("minimum_balance", ("MINIMUM_BALANCE", "WALLET_MINIMUM_BALANCE"), "0"),
    Setting("jwt_secret_key", ("JWT_SECRET_KEY",), MADE_WHEN_NEEDED, secret=True),
    Setting("jwt_access_token_expires", ("JWT_ACCESS_TOKEN_EXPIRES",), "5"),
    Setting("env", ("FLASK_ENV", "WALLET_ENV"), "production"),
    Setting("timezone", ("WALLET_TIMEZONE",), SYSTEM_ZONE),
    Setting("lock_timeout", ("WALLET_LOCK_TIMEOUT",), "30"),
    Setting("token", ("WALLET_TOKEN",), TOKEN_DEFAULT, secret=True),
    Setting("token_file", ("WALLET_TOKEN_FILE",), TOKEN_FILE_DEFAULT),
    Setting("ca_file", ("WALLET_CA_FILE",), CA_FILE_DEFAULT),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}

ANY_CURRENCY = Currency("any", MAX_EXPONENT)

LEDGER_SETTINGS = LedgerFacts._fields[1:]
"""What a ledger keeps of them."""


class Value(NamedTuple):
    """A setting's text, and its source in words: `--db`, `WALLET_DB`, `.env: WALLET_DB`, a config file, `default`."""

    text: str
    source: str


class Settings:
    """The values in force. Each property checks its own and raises InvalidInput, naming the source of a wrong one."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values

    @property
    def db(self) -> str:
        return self.values["db"].text

    @property
    def db_is_default(self) -> bool:
        return self.values["db"].source == "default"

    @property
    def currency(self) -> Currency:
        value = self.values["currency"]
        try:
            return parse_currency(value.text)
        except InvalidInput as error:
            raise self._wrong("currency", error.hint) from None

    @property
    def phone_region(self) -> str:
        return self.values["phone_region"].text

    @property
    def minimum_balance(self) -> str:
        """Decimal text, checked for form; each wallet reads it in its own currency."""
        text = self.values["minimum_balance"].text
        try:
            parse_minimum(text, ANY_CURRENCY)
        except InvalidInput as error:
            raise self._wrong("minimum_balance", error.hint) from None
        return text

    @property
    def timezone(self) -> str | None:
        """The IANA name of the time zone that a new ledger is given; None where the system's has no such name.

        The days of a ledger that is there are its own.
        """
        name = self.values["timezone"].text
        if name == SYSTEM_ZONE:
            return system_zone()
        try:
            return check_zone(name)
        except InvalidInput as error:
            raise self._wrong("timezone", error.hint) from None

    def of_new_ledger(self) -> LedgerFacts:
        """What a ledger that is made now keeps of these settings. Raises InvalidInput for a wrong one."""
        from wallet_cli.domain.phone import check_region

        try:
            region = check_region(self.phone_region)
        except InvalidInput as error:
            raise self._wrong("phone_region", error.hint) from None
        return LedgerFacts(None, self.currency.name, region, self.minimum_balance, self.timezone or UTC_NAME)

    def within(self, facts: LedgerFacts) -> Settings:
        """The same in a ledger: what nobody chose is as the ledger says, and its time zone is its own."""
        values = dict(self.values)
        for name in LEDGER_SETTINGS:
            text = getattr(facts, name)
            if text is not None and (name == "timezone" or values[name].source in ("default", LEDGER)):
                values[name] = Value(text, LEDGER)
        return Settings(values)

    @property
    def env(self) -> str:
        return self.values["env"].text

    @property
    def jwt_secret_key(self) -> str | None:
        """The secret of user tokens; None where it is to be made."""
        value = self.values["jwt_secret_key"]
        return None if value.source == "default" else value.text

    @property
    def jwt_access_token_expires_minutes(self) -> int:
        text = self.values["jwt_access_token_expires"].text
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:7]) <= MAX_EXPIRES_MINUTES):
            raise self._wrong("jwt_access_token_expires", f"minutes, 1 to {MAX_EXPIRES_MINUTES}")
        return int(text)

    @property
    def lock_timeout_s(self) -> float:
        hint = f"seconds, 0 to {MAX_LOCK_TIMEOUT_S:.0f}"
        try:
            seconds = float(self.values["lock_timeout"].text)
        except ValueError:
            raise self._wrong("lock_timeout", hint) from None
        if not 0 <= seconds <= MAX_LOCK_TIMEOUT_S:
            raise self._wrong("lock_timeout", hint)
        return seconds

    @property
    def token(self) -> str | None:
        """The key or token for a ledger on another machine: the setting, else what the token file holds, if any.

        Raises InvalidInput for a file that cannot be read, or that others than its owner may.
        """
        value = self.values["token"]
        if value.source != "default":
            return value.text
        named = self.given("token_file")
        if named is not None:
            return _read_token(Path(named))
        path = config_path().with_name("token")
        return _read_token(path) if path.is_file() else None

    @property
    def ca_file(self) -> str | None:
        """A file of certificates of one's own authority, to be trusted beside the well-known ones."""
        return self.given("ca_file")

    def given(self, name: str) -> str | None:
        """The text of a setting that somebody chose here; None where the ledger or the default rules."""
        value = self.values[name]
        return None if value.source in ("default", LEDGER) else value.text

    def shown(self) -> list[dict[str, str]]:
        """`name, value, source` of each, secrets covered."""
        return [
            {"name": name, "value": _covered(BY_NAME[name], value), "source": value.source}
            for name, value in self.values.items()
        ]

    def _wrong(self, name: str, hint: str | None) -> InvalidInput:
        value = self.values[name]
        return InvalidInput(f"the setting {name} is wrong: {shown(value.text)} (from {value.source})", hint=hint)


def load(
    flags: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    config: Path | None = None,
) -> Settings:
    """Gather the settings; an empty variable counts as unset.

    `flags` are values given on the command line, by setting; `folder` is where a `.env` may be (default: the working
    directory) and `config` the config file (default: config.toml in the user's config folder). Raises InvalidInput for
    a file that cannot be read, and for a name in the config file that is no setting.
    """
    dotenv = _read_dotenv((folder or Path()) / ".env")
    config = config or config_path(environ)
    file = _read_config(config)
    values = {}
    for setting in SETTINGS:
        values[setting.name] = _find(setting, flags, environ, dotenv, file, config)
    return Settings(values)


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """config.toml in the user's config folder; `WALLET_CONFIG` names another."""
    if environ.get("WALLET_CONFIG"):
        return Path(environ["WALLET_CONFIG"])
    import platformdirs

    return platformdirs.user_config_path(APP_NAME) / "config.toml"


def data_folder() -> Path:
    """The user's data folder for this program, where the ledger is kept unless a setting says otherwise."""
    import platformdirs

    return platformdirs.user_data_path(APP_NAME)


def system_zone() -> str | None:
    """The IANA name of the system's time zone, by TZ or its files; None where it has none, as `IST-5:30` has not."""
    import warnings

    import tzlocal  # a new ledger alone needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            name = str(tzlocal.reload_localzone())
        return UTC_NAME if name == "Etc/UTC" else check_zone(name)
    except (LookupError, ValueError, OSError, InvalidInput):
        return None


def _find(
    setting: Setting,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    dotenv: Mapping[str, str | None],
    file: Mapping[str, str],
    config: Path,
) -> Value:
    if setting.name in flags:
        if not flags[setting.name]:
            raise InvalidInput(
                f"--{setting.name} is empty", hint=f"leave it out for the default, or give a {setting.name}"
            )
        return Value(flags[setting.name], f"--{setting.name}")
    for name in setting.variables:
        if environ.get(name):
            return Value(environ[name], name)
    for name in setting.variables:
        text = dotenv.get(name)
        if text:
            return Value(text, f".env: {name}")
    if setting.name in file:
        return Value(file[setting.name], str(config))
    if setting.name == "db":
        return Value(str(data_folder() / "wallet.db"), "default")
    return Value(setting.default, "default")


def _read_token(path: Path) -> str:
    """The token that a file holds. Raises InvalidInput, which never shows any of it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            found = file.read(MAX_TOKEN_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"cannot read the token file {path}: {reason}", hint="WALLET_TOKEN_FILE names it") from None
    if mode & 0o177:
        raise InvalidInput(f"the token file {path} has mode {mode:04o}: others may use it", hint=f"chmod 600 {path}")
    token = found.strip()
    if not token or len(found) > MAX_TOKEN_FILE_BYTES or not token.isascii():
        raise InvalidInput(f"the token file {path} holds no token", hint="one line: an operator key, or a user token")
    return token.decode("ascii")


def check_expires_minutes(minutes: int) -> int:
    """Return for how long a user token is to be good, if that is possible. Raises InvalidInput."""
    if not 1 <= minutes <= MAX_EXPIRES_MINUTES:
        raise InvalidInput(f"a token cannot be good for {minutes} minutes", hint=f"1 to {MAX_EXPIRES_MINUTES}")
    return minutes


def _read_dotenv(path: Path) -> Mapping[str, str | None]:
    if not os.path.isfile(path):  # noqa: PTH113  (False also where the folder may not be looked into)
        return {}
    import dotenv

    try:
        # Values as they stand: a `$` in a secret is a `$`.
        return dotenv.dotenv_values(path, interpolate=False)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {path}: {error}", hint="a line is NAME=value") from None


def _read_config(path: Path) -> Mapping[str, str]:
    if not os.path.isfile(path):  # noqa: PTH113
        return {}
    import tomllib

    try:
        found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {path}: {error}", hint='it is TOML: name = "value"') from None
    for name, value in found.items():
        if name not in BY_NAME:
            raise InvalidInput(f"{path}: there is no setting {shown(name)}", hint=f"there are: {', '.join(BY_NAME)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInput(f"{path}: {name} is not text or a number", hint=f'{name} = "…"')
    return {name: str(value) for name, value in found.items()}


def _covered(setting: Setting, value: Value) -> str:
    if setting.name == "db" and (":/" in value.text or "password" in value.text):
        return shown_url(value.text)
    return "(set, not shown)" if setting.secret and value.source != "default" else value.text

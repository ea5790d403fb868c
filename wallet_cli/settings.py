"""Settings, and the source of each: flag > environment > `.env` > config.toml > the ledger > default. The time zone of
a ledger comes before all.

A `.env` comes from whatever folder the user is in. It may not say where tokens and passwords go, and counts only if
nobody else can have written it. A file given with `--env-file` replaces it, and may set everything.

Each setting is text until it is needed, and is checked then: a wrong time zone does not prevent a payment. The
libraries that read the two files are imported only if there is a file to read.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wallet_cli.domain.model import LedgerFacts
from wallet_cli.domain.money import (
    ANY_DIGITS,
    Currency,
    parse_currency,
    parse_default_minimum,
    parse_minimum,
    parse_stored,
)
from wallet_cli.domain.period import DAY_US, UTC_NAME, check_zone, parse_duration
from wallet_cli.errors import NO_HOME, InvalidInput, shown, shown_url, suggestion, unreadable
from wallet_cli.named_tuples import NamedTuple
from wallet_cli.paths import typed_path

APP_NAME = "wallet"
MAX_LOCK_TIMEOUT_S = 86_400.0
MAX_EXPIRES_MINUTES = 525_600
"""The longest validity of a user token: a year."""


class Setting(NamedTuple):
    """A setting: its name, the environment variables that hold it (the first one set wins), and its default."""

    name: str
    variables: tuple[str, ...]
    default: str
    secret: bool = False
    trusted: bool = False
    """Whether a `.env` may not set it: it is sent to others, or decides whom to trust."""


LEAST_SEAL_EVERY_MINUTES = 0.02
"""Names of seals have whole seconds."""

MAX_TOKEN_FILE_BYTES = 8192
MAX_ENV_FILE_BYTES = 65_536
OTHERS_WRITE = 0o022

ELSEWHERE = r"(?is).*://|\s*(postgres(ql)?:|//|\\\\|(host|hostaddr|port|dbname|user|password|passfile|service)\s*=)"
"""The beginnings of what is no file on this machine: a URL, a PostgreSQL connection string, a network share."""

WITHOUT_SCHEME = r"postgres(ql)?(:|//)|(host|hostaddr|port|dbname|user|service) ?="
"""The beginnings of what is no URL, and is meant for a server."""

POSTGRES_SCHEMES = ("postgresql", "postgres")
SERVER_SCHEMES = ("http", "https")

DB_DEFAULT = "(data folder)/wallet.db"
MADE_WHEN_NEEDED = "(created when first needed)"
SYSTEM_ZONE = "system"
LEDGER = "ledger"
"""The source of a setting that comes from the ledger."""

TOKEN_DEFAULT = "(from the token file)"  # noqa: S105  (no token)
TOKEN_FILE_DEFAULT = "(beside the config file)/token"  # noqa: S105
CA_FILE_DEFAULT = "(the well-known ones)"
NO_NAME = "(none)"
SETTINGS = (
    Setting("db", ("WALLET_DB",), DB_DEFAULT),
    Setting("ledger", ("WALLET_LEDGER",), NO_NAME),
    Setting("currency", ("WALLET_CURRENCY",), "INR"),
    Setting("phone_region", ("WALLET_PHONE_REGION",), "IN"),
    Setting("minimum_balance", ("MINIMUM_BALANCE", "WALLET_MINIMUM_BALANCE"), "0"),
    Setting("jwt_secret_key", ("JWT_SECRET_KEY",), MADE_WHEN_NEEDED, secret=True),
    Setting("jwt_access_token_expires", ("JWT_ACCESS_TOKEN_EXPIRES",), "5"),
    Setting("jwt_max_token_expires", ("JWT_MAX_TOKEN_EXPIRES",), "1440"),
    Setting("env", ("FLASK_ENV", "WALLET_ENV"), "production"),
    Setting("timezone", ("WALLET_TIMEZONE",), SYSTEM_ZONE),
    Setting("lock_timeout", ("WALLET_LOCK_TIMEOUT",), "30"),
    Setting("clock_skew", ("WALLET_CLOCK_SKEW",), "1d"),
    Setting("token", ("WALLET_TOKEN",), TOKEN_DEFAULT, secret=True, trusted=True),
    Setting("token_file", ("WALLET_TOKEN_FILE",), TOKEN_FILE_DEFAULT, trusted=True),
    Setting("ca_file", ("WALLET_CA_FILE",), CA_FILE_DEFAULT, trusted=True),
    Setting("seal_to", ("WALLET_SEAL_TO",), NO_NAME, trusted=True),
    Setting("seal_every", ("WALLET_SEAL_EVERY",), "60"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}
LEDGER_VARIABLES = BY_NAME["db"].variables + BY_NAME["ledger"].variables

OF_NAMED_LEDGER = ("db", "token", "token_file", "ca_file")
"""What `[ledgers.NAME]` in the config file may set: where a ledger is, and how to reach it."""

LEDGER_NAME = r"[A-Za-z0-9_-]{1,32}"

ANY_CURRENCY = Currency("any", ANY_DIGITS)

LEDGER_SETTINGS = LedgerFacts._fields[1:]
"""The settings that a ledger keeps."""


class Value(NamedTuple):
    """A setting's text, and its source: `--db`, `WALLET_DB`, `.env: WALLET_DB`, a config file, `default`."""

    text: str
    source: str


class Place(NamedTuple):
    """The settings of one place, by name; and the mode and the name of its file, if it is one."""

    values: Mapping[str, Value] = {}
    mode: int = 0
    ledgers: Mapping[str, Place] = {}
    """The named ledgers of a config file."""
    file: str = ""

    def how_to_shut(self, name: str) -> str:
        """The command after which no other user can do what `exposed` says."""
        import shlex

        return f"chmod {'600' if BY_NAME[name].secret else 'go-w'} {shlex.quote(self.file)}"

    def exposed(self, name: str) -> str | None:
        """What other users may do with a setting of this place, but should not; or None."""
        secret = BY_NAME[name].secret
        if os.name != "posix" or not self.mode & (0o077 if secret else OTHERS_WRITE):
            return None
        return f"is in a file with mode {stat.S_IMODE(self.mode):04o}: others may {'read' if secret else 'write'} it"


class Settings:
    """The values in force. Each property checks its value, and raises InvalidInput with the source of a wrong one."""

    def __init__(self, values: Mapping[str, Value], places: Sequence[Place] = ()) -> None:
        self.values = values
        self._places = places
        """The places of values: the environment, a file of variables, the config file."""
        self._ledgers: Mapping[str, Place] = places[-1].ledgers if places else {}

    @property
    def db(self) -> str:
        return self.values["db"].text

    @property
    def db_is_default(self) -> bool:
        return self.values["db"].source == "default"

    @property
    def ledger(self) -> str | None:
        """The name by which the ledger was chosen, or None."""
        return self.given("ledger")

    @property
    def currency(self) -> Currency:
        """The currency of a wallet for which none is named. What the ledger says stays: no later table judges it."""
        value = self.values["currency"]
        if value.source == LEDGER:
            return parse_stored(value.text)
        try:
            return parse_currency(value.text)
        except InvalidInput as error:
            raise self._wrong("currency", error.hint) from None

    @property
    def phone_region(self) -> str:
        return self.values["phone_region"].text

    @property
    def checked_phone_region(self) -> str:
        """The same, checked to be an existing country; the check takes a while."""
        from wallet_cli.domain.phone import check_region

        try:
            return check_region(self.phone_region)
        except InvalidInput as error:
            raise self._wrong("phone_region", error.hint) from None

    @property
    def minimum_balance(self) -> str:
        """Decimal text of the right form; each wallet reads it in its own currency."""
        return self._minimum_in(ANY_CURRENCY, parse_default_minimum)

    def _minimum_in(self, currency: Currency, parse: Callable[[str, Currency], int]) -> str:
        text = self.values["minimum_balance"].text
        try:
            parse(text, currency)
        except InvalidInput as error:
            raise self._wrong("minimum_balance", error.hint) from None
        return text

    @property
    def timezone(self) -> str | None:
        """The IANA name of the time zone for a new ledger; None if the system's has no such name.

        An existing ledger has its own time zone.
        """
        name = self.values["timezone"].text
        if name == SYSTEM_ZONE:
            return system_zone()
        try:
            return check_zone(name)
        except InvalidInput as error:
            raise self._wrong("timezone", error.hint) from None

    def of_new_ledger(self) -> LedgerFacts:
        """The settings that a new ledger keeps. Raises InvalidInput for a wrong one."""
        zone = self.timezone or UTC_NAME
        currency = self.currency
        minimum = self._minimum_in(currency, parse_minimum)
        return LedgerFacts(None, currency.name, self.checked_phone_region, minimum, zone)

    def within(self, facts: LedgerFacts) -> Settings:
        """The same for a ledger: settings that nobody chose, and the time zone, are the ledger's."""
        values = dict(self.values)
        for name in LEDGER_SETTINGS:
            text = getattr(facts, name)
            if text is not None and (name == "timezone" or values[name].source in ("default", LEDGER)):
                values[name] = Value(text, LEDGER)
        return Settings(values, self._places)

    @property
    def env(self) -> str:
        return self.values["env"].text

    @property
    def jwt_secret_key(self) -> str | None:
        """The secret of user tokens; None if it must be created. The caller must check whether it is `exposed`."""
        value = self.values["jwt_secret_key"]
        return None if value.source == "default" else value.text

    @property
    def jwt_access_token_expires_minutes(self) -> int:
        minutes = self._minutes("jwt_access_token_expires")
        most = self.jwt_max_token_expires_minutes
        if minutes > most:
            if self.given("jwt_access_token_expires") is None:
                return most
            raise self._wrong("jwt_access_token_expires", f"at most {most}, which is jwt_max_token_expires")
        return minutes

    @property
    def jwt_max_token_expires_minutes(self) -> int:
        """The longest validity of any user token."""
        return self._minutes("jwt_max_token_expires")

    def _minutes(self, name: str) -> int:
        text = self.values[name].text
        minutes = int(text) if re.fullmatch("[0-9]{1,7}", text) else 0
        if not 1 <= minutes <= MAX_EXPIRES_MINUTES:
            raise self._wrong(name, f"minutes, 1 to {MAX_EXPIRES_MINUTES}")
        return minutes

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
    def clock_skew_us(self) -> int | None:
        """How far clocks may differ before one is doubted (domain/rules/clocks.py); None for `off`."""
        value = self.values["clock_skew"]
        if value.source == "default":
            return DAY_US
        if value.text == "off":
            return None
        try:
            return parse_duration(value.text)
        except InvalidInput as error:
            raise self._wrong("clock_skew", f"off, or {error.hint}") from None

    @property
    def seal_to(self) -> str | None:
        """The folder into which `wallet serve` puts seals; None for no seals."""
        return self.given("seal_to")

    @property
    def seal_every_us(self) -> int:
        """The time from one seal of `wallet serve` to the next."""
        hint = f"minutes, {LEAST_SEAL_EVERY_MINUTES} to {MAX_EXPIRES_MINUTES}"
        try:
            minutes = float(self.values["seal_every"].text)
        except ValueError:
            raise self._wrong("seal_every", hint) from None
        if not LEAST_SEAL_EVERY_MINUTES <= minutes <= MAX_EXPIRES_MINUTES:
            raise self._wrong("seal_every", hint)
        return int(minutes * 60_000_000)

    @property
    def token_path(self) -> Path:
        """The token file. Raises InvalidInput."""
        value = self.values["token_file"]
        return typed_path(value.text) if value.source != "default" else config_path().with_name("token")

    def token_for(self, host: str) -> str | None:
        """The key or token for the ledger at a host (`name:port`): from the setting, else from the token file; or None.

        It is for the host that its file gives. If that gives none, it is for the ledger named in the same place as the
        token (WALLET_TOKEN goes with WALLET_DB), or else for the one that the other settings name. Raises InvalidInput
        if it is for another host, if the file cannot be read, or if others may read the file.
        """
        from wallet_cli.domain.host import host_of

        value = self.values["token"]
        if value.source == "default":
            value, path = self.values["token_file"], self.token_path
            if value.source == "default" and not path.is_file():
                return None
            held = _read_tokens(path)
            if not isinstance(held, str):
                return held.get(host)
            token = held
        else:
            wrong = self.exposed("token")
            if wrong is not None:
                raise InvalidInput(f"the setting token {wrong} (from {value.source})", hint=self.how_to_shut("token"))
            token = value.text
        place = self._ledger_beside(value)
        if place is not None:
            named = place.values["db"]
            if host_of(named.text) != host:
                raise InvalidInput(
                    f"the token is for {host_of(named.text)} (from {named.source}), but this ledger is at {host}",
                    hint=f"set WALLET_TOKEN and WALLET_DB together; or give WALLET_TOKEN_FILE a line: {host} wk_…",
                )
            wrong = place.exposed("db")
            if wrong is not None:
                raise InvalidInput(f"the setting db {wrong} (from {named.source})", hint=place.how_to_shut("db"))
        return token

    def _ledger_beside(self, token: Value) -> Place | None:
        """The place that names the remote ledger to which a token belongs: the token's own place (the config file, for
        the default token file), else the first place that names one.
        """
        from wallet_cli.domain.host import host_of

        own = [place for place in self._kept() if token in (place.values.get("token"), place.values.get("token_file"))]
        beside = self._places[-1:] if token.source == "default" else own
        for each in (*beside, *self._places):
            name = each.values.get("ledger")
            place = each if name is None else self._ledgers.get(name.text, each)
            named = place.values.get("db")
            if named is not None and host_of(named.text) is not None:
                return place
        return None

    def exposed(self, name: str) -> str | None:
        """The problem with the permissions of the file of a setting's value, or None."""
        return self._place_of(name).exposed(name)

    def how_to_shut(self, name: str) -> str:
        """The command that ends what `exposed` says."""
        return self._place_of(name).how_to_shut(name)

    def _place_of(self, name: str) -> Place:
        value = self.values[name]
        return next((place for place in self._kept() if place.values.get(name) is value), Place())

    def _kept(self) -> Sequence[Place]:
        """All places with values."""
        return (*self._places, *self._ledgers.values())

    @property
    def ca_file(self) -> str | None:
        """A file with certificates of the user's own authority, trusted in addition to the well-known ones."""
        name = self.given("ca_file")
        return None if name is None else str(typed_path(name))

    def given(self, name: str) -> str | None:
        """The text of a setting that was chosen here; None if it comes from the ledger or the default."""
        value = self.values[name]
        return None if value.source in ("default", LEDGER) else value.text

    def shown(self) -> list[dict[str, str]]:
        """`name, value, source` of each, with secrets hidden; then the named ledgers of the config file."""
        rows = [(name, BY_NAME[name], value) for name, value in self.values.items()]
        for ledger, place in self._ledgers.items():
            rows += [(f"ledgers.{ledger}.{name}", BY_NAME[name], value) for name, value in place.values.items()]
        return [
            {"name": name, "value": _covered(setting, value), "source": value.source} for name, setting, value in rows
        ]

    def check(self, name: str) -> None:
        """Raises InvalidInput for a wrong value, as its use would. Names are those of `shown`."""
        _, _, within = name.rpartition(".")
        if name == within:
            CHECKS.get(name, _any)(self)
        else:
            ledger = name.split(".")[1]
            Settings({**self.values, **self._ledgers[ledger].values}).check(within)

    def _check_db(self) -> None:
        try:
            check_db(self.db, elsewhere=True)
        except InvalidInput as error:
            raise self._wrong("db", f"{error.message}; {error.hint}") from None

    def _wrong(self, name: str, hint: str | None) -> InvalidInput:
        value = self.values[name]
        text = shown(_covered(BY_NAME[name], value))
        return InvalidInput(f"the setting {name} is wrong: {text} (from {value.source})", hint=hint)


def _any(_: Settings) -> None:
    """For settings that accept any text."""


CHECKS: Mapping[str, Callable[[Settings], object]] = {
    "db": Settings._check_db,
    "currency": lambda settings: settings.currency,
    "phone_region": lambda settings: settings.checked_phone_region,
    "minimum_balance": lambda settings: settings.minimum_balance,
    "jwt_access_token_expires": lambda settings: settings.jwt_access_token_expires_minutes,
    "jwt_max_token_expires": lambda settings: settings.jwt_max_token_expires_minutes,
    "timezone": lambda settings: settings.timezone,
    "lock_timeout": lambda settings: settings.lock_timeout_s,
    "clock_skew": lambda settings: settings.clock_skew_us,
    "seal_every": lambda settings: settings.seal_every_us,
}
"""The checks of settings, which raise for a wrong value. Other settings accept any text."""


def scheme_of(db: str) -> str:
    """The scheme of a URL; empty for a path."""
    return db.partition("://")[0] if "://" in db else ""


def check_db(db: str, *, elsewhere: bool) -> None:
    """Raises InvalidInput for text that is not a path, a database or, if `elsewhere`, a server's address."""
    scheme = scheme_of(db)
    if elsewhere and scheme.lower() in SERVER_SCHEMES:
        from wallet_cli.domain.host import host_of

        if host_of(db) is None:
            raise InvalidInput("this address has no host", hint="https://HOST, or http://HOST:PORT")
    elif scheme and scheme not in POSTGRES_SCHEMES:
        raise InvalidInput(
            f"a ledger cannot be at {shown(scheme + '://…')}", hint="give a path, or postgresql://user@host/database"
        )
    elif not scheme and (":" in db or "=" in db or "//" in db) and re.match(WITHOUT_SCHEME, db):
        # Otherwise a file of that name would be created, and its name, with a password in it, printed.
        raise InvalidInput("a ledger on a server needs a URL", hint="postgresql://user@host/database")


def load(
    flags: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    config: Path | None = None,
    notify: Callable[[str], None] | None = None,
    *,
    to_show: bool = False,
    says: Place | None = None,
) -> Settings:
    """Gather the settings; an empty variable counts as unset.

    `flags` are values from the command line, by setting, and `env_file` the file to read instead of a `.env`; `folder`
    is where a `.env` may be (default: the working directory) and `config` the config file (default: config.toml in the
    user's config folder); `says` is what that is to say, where it is not read. `notify` gets one line for each ignored
    part of a `.env`. Raises InvalidInput for a file that cannot be read, for an unknown name in the config file, and
    where what is ignored of a `.env` alone names the ledger: the command would use another ledger; StorageError where
    reading a file fails. With `to_show` none is used, and that is one line more.
    """
    of_flags, of_environment = _of_flags(flags), _of_variables(environ, "")
    config = config or config_path(environ)
    has_ledger = any(name in each for name in ("db", "ledger") for each in (of_flags, of_environment.values))
    of_config = _of_config(config, has_ledger=has_ledger) if says is None else says
    named = flags.get("env_file")
    if named is not None:
        variables = _of_env_file(typed_path(named))
    else:
        dotenv = (folder or Path()) / ".env"
        variables = _of_dotenv(dotenv, notify or _unheard, of_config, has_ledger=has_ledger, to_show=to_show)
    return _settled(of_flags, (of_environment, variables, of_config), config)


def of_config_alone(says: Place, config: Path) -> Settings:
    """The settings of a config file, and the defaults. Raises InvalidInput if it contradicts itself."""
    return _settled({}, (says,), config)


def _settled(flags: Mapping[str, Value], places: Sequence[Place], config: Path) -> Settings:
    found = _with_named([flags, *(place.values for place in places)], places[-1].ledgers, config)
    values = {}
    for setting in SETTINGS:
        given = (each[setting.name] for each in found if setting.name in each)
        values[setting.name] = next(given, None) or Value(_default(setting), "default")
    return Settings(values, places)


def _with_named(
    found: Sequence[Mapping[str, Value]], ledgers: Mapping[str, Place], config: Path
) -> list[Mapping[str, Value]]:
    """The values of each place, with those of the named ledger in the config file, if one is chosen by name.

    They have the rank of the name: before other values of its place. Raises InvalidInput for an unknown name, and if
    one place names a ledger in two ways.
    """
    for number, values in enumerate(found):
        db, name = values.get("db"), values.get("ledger")
        if db is not None and name is not None:
            raise InvalidInput(
                f"db (from {db.source}) and ledger (from {name.source}) both name the ledger", hint="give one of them"
            )
        if db is not None:
            return [each if "ledger" not in each else _without_name(each) for each in found]
        if name is not None:
            named = dict(_named(name, ledgers, config).values)
            if "token_file" in named:  # a token from another place does not replace it
                named.setdefault("token", Value(TOKEN_DEFAULT, "default"))
            return [*found[:number], named, *found[number:]]
    return list(found)


def _without_name(values: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name: value for name, value in values.items() if name != "ledger"}


def _named(name: Value, ledgers: Mapping[str, Place], config: Path) -> Place:
    found = ledgers.get(name.text)
    if found is None:
        raise InvalidInput(
            f"there is no ledger called {shown(name.text)} in {config} (from {name.source})",
            hint=suggestion(name.text, ledgers) or "wallet config set ledgers.NAME.db DB adds one",
        )
    return found


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """config.toml in the user's config folder; `WALLET_CONFIG` names another."""
    if environ.get("WALLET_CONFIG"):
        return typed_path(environ["WALLET_CONFIG"])
    folder = _user_folder("XDG_CONFIG_HOME", ".config")
    return (platform_folder("config") if folder is None else folder) / "config.toml"


def data_folder() -> Path:
    """The user's data folder for this program: the default place of the ledger."""
    folder = _user_folder("XDG_DATA_HOME", ".local/share")
    return platform_folder("data") if folder is None else folder


def jwt_secret_path() -> Path:
    """Where the secret of tokens is kept, unless a setting gives one."""
    return data_folder() / "jwt_secret_key"


def platform_folder(kind: str) -> Path:
    """The user's folder for this program, `kind` being config, data or state.

    For a user without a home folder, one that cannot exist: nothing is read there, and writing fails.
    """
    import platformdirs

    try:
        found: Path = getattr(platformdirs, f"user_{kind}_path")(APP_NAME)
    except RuntimeError:
        return Path(NO_HOME, APP_NAME)
    return found


def _user_folder(variable: str, in_home: str) -> Path | None:
    """A user's folder on Linux, as platformdirs has it, whose import takes 4 % of a command; None elsewhere."""
    if sys.platform != "linux" or "ANDROID_DATA" in os.environ:
        return None
    folder, home = os.environ.get(variable, ""), os.environ.get("HOME", "")
    if folder.startswith("/"):
        return Path(folder, APP_NAME)
    return Path(home, in_home, APP_NAME) if home.startswith("/") else None


def system_zone() -> str | None:
    """The IANA name of the system's time zone, from TZ or its files; None if it has none, as for `IST-5:30`."""
    import warnings

    import tzlocal  # only a new ledger needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            name = str(tzlocal.reload_localzone())
        return UTC_NAME if name == "Etc/UTC" else check_zone(name)
    except (LookupError, ValueError, OSError, InvalidInput):
        return None


def _default(setting: Setting) -> str:
    return str(data_folder() / "wallet.db") if setting.name == "db" else setting.default


def _of_flags(flags: Mapping[str, str]) -> Mapping[str, Value]:
    for name, text in flags.items():
        if not text:
            option = name.replace("_", "-")
            raise InvalidInput(f"--{option} is empty", hint=f"leave it out for the default, or give a {name}")
    return {name: Value(text, f"--{name.replace('_', '-')}") for name, text in flags.items() if name in BY_NAME}


def _of_variables(variables: Mapping[str, str | None], where: str, mode: int = 0, file: str = "") -> Place:
    """The settings in variables; `where` goes before their names, and `mode` is that of their `file`."""
    found = {}
    for setting in SETTINGS:
        for name in setting.variables:
            text = variables.get(name)
            if text:
                found[setting.name] = Value(text, where + name)
                break
    return Place(found, mode, file=file)


def _of_dotenv(path: Path, notify: Callable[[str], None], config: Place, *, has_ledger: bool, to_show: bool) -> Place:
    """The settings of a `.env` that happens to be in the present folder.

    It may not name a receiver of tokens or passwords, or set one; it is ignored if somebody else may have written it.
    `has_ledger`: a flag or the environment names the ledger, so the `.env`'s ledger does not count.
    """
    if not os.path.isfile(path):  # noqa: PTH113  (False also if the folder is not readable)
        return Place()
    try:
        wrong = _foreign(path.lstat()) or _foreign(path.stat())
        if wrong is None:
            variables, found = _read_variables(path)
            wrong = _foreign(found)  # of the file that was read; another one may be there by now
    except OSError as error:
        raise unreadable(path, error, IS_VARIABLES) from None

    def leave_ledger(why: str, way_out: str = "") -> None:
        """What the file says of the ledger does not count. Raises InvalidInput where a command would use another."""
        told = f"{path} names the ledger, but cannot be trusted: {why}"
        if not to_show:
            hint = f"read it anyway with --env-file {path}; or {way_out}name the ledger with --db or WALLET_DB"
            raise InvalidInput(told, hint=hint)
        notify(f"{told}; commands that use the ledger are refused")

    if wrong is not None:
        if not has_ledger and _names_ledger(path):
            shut = "" if wrong == OF_ANOTHER else f"take away others' access (chmod go-w {path}); or "
            leave_ledger(wrong, shut)
        notify(f"ignored {path}: {wrong}; read it anyway with --env-file {path}")
        return Place()
    named = has_ledger or any(name in config.values for name in ("db", "ledger"))
    allowed = {}
    for name, text in variables.items():
        refused = _refused_in_dotenv(name, text or "", config.ledgers)
        if refused:
            if not named and name in LEDGER_VARIABLES:
                leave_ledger(refused)
            notify(f"ignored {name} in {path}: {refused}; set it in the environment, or --env-file {path}")
        else:
            allowed[name] = text
    return _of_variables(allowed, f"{path.name}: ", found.st_mode, str(path))


def _names_ledger(path: Path) -> bool:
    """Whether an ignored file would name the ledger; False if it cannot be read."""
    try:
        variables = _read_variables(path)[0]
        return any(variables.get(name) for name in LEDGER_VARIABLES)
    except (OSError, InvalidInput):
        return False


OF_ANOTHER = "it belongs to another user"


def _foreign(found: os.stat_result) -> str | None:
    """Why another user may have written a file; None if nobody else can."""
    if os.name != "posix":
        return None
    if found.st_uid != os.geteuid():
        return OF_ANOTHER
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS_WRITE:
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _refused_in_dotenv(name: str, text: str, ledgers: Mapping[str, Place]) -> str | None:
    """Why a `.env` may not set a variable to that text; None if it may."""
    setting = next((each for each in SETTINGS if name in each.variables), None)
    if not text:
        return None
    if name.startswith("PG"):
        return "a .env may not say how to reach a database"
    if setting is not None and setting.trusted:
        return f"a .env may not set {setting.name}"
    if setting is not None and setting.name == "ledger" and text in ledgers:
        setting, text = BY_NAME["db"], ledgers[text].values["db"].text
    if setting is not None and setting.name == "db" and re.match(ELSEWHERE, text):
        return "a .env may name no ledger but a file on this machine"
    return None


def _of_env_file(path: Path) -> Place:
    """The settings of a file that was named: all count. PostgreSQL's variables go to its driver."""
    try:
        variables, found = _read_variables(path)
    except OSError as error:
        raise unreadable(path, error, IS_VARIABLES) from None
    if variables.get("PGPASSWORD") and exposed(found):
        raise InvalidInput(f"{path}, which holds PGPASSWORD, {exposed(found)}", hint=f"chmod 600 {path}")
    for name, text in variables.items():
        if name.startswith("PG") and text:
            os.environ.setdefault(name, text)
    return _of_variables(variables, f"{path}: ", found.st_mode, str(path))


IS_VARIABLES = "a line is NAME=value"


def _read_variables(path: Path) -> tuple[Mapping[str, str | None], os.stat_result]:
    """The variables in a file, and the file's status. Raises OSError or InvalidInput."""
    import io

    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        text = file.read(MAX_ENV_FILE_BYTES + 1)
    try:
        if len(text) > MAX_ENV_FILE_BYTES:
            raise ValueError(f"it has more than {MAX_ENV_FILE_BYTES} bytes")
        content = text.decode("utf-8")
        # A skipped line could be the one that names the ledger.
        wrong = next((each.original for each in parse_stream(io.StringIO(content)) if each.error), None)
        if wrong is not None:
            raise ValueError(f"line {wrong.line} is not NAME=value")
        # Values unchanged: a `$` in a secret is a `$`.
        return dotenv_values(stream=io.StringIO(content), interpolate=False), found
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise InvalidInput(f"cannot read {path}: {reason}", hint=IS_VARIABLES) from None


def _unheard(_text: str) -> None:
    """Ignores notices."""


def exposed(found: os.stat_result) -> str | None:
    """The problem if other users may use the file of a secret; or None."""
    mode = stat.S_IMODE(found.st_mode)
    return f"has mode {mode:04o}: others may use it" if os.name == "posix" and mode & 0o077 else None


def _read_tokens(path: Path) -> str | dict[str, str]:
    """The token in a file, or the token of each host. Raises InvalidInput, which never shows any of it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            found = file.read(MAX_TOKEN_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"cannot read the token file {path}: {reason}", hint="check WALLET_TOKEN_FILE") from None
    if mode & 0o177:
        raise InvalidInput(f"the token file {path} has mode {mode:04o}: others may use it", hint=f"chmod 600 {path}")
    lines = [line.split() for line in found.splitlines() if line.strip()] if found.isascii() else []
    hint = "one line: an operator key, or a user token; or lines of a host and its token: example.org wk_…"
    if len(found) > MAX_TOKEN_FILE_BYTES or not lines:
        raise InvalidInput(f"the token file {path} holds no token", hint=hint)
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0].decode("ascii")
    from wallet_cli.domain.host import host_of

    tokens: dict[str, str] = {}
    for line in lines:
        host = host_of(f"https://{line[0].decode('ascii')}") if len(line) == 2 else None
        if host is None or host in tokens:
            raise InvalidInput(f"the token file {path} cannot be read", hint=hint)
        tokens[host] = line[1].decode("ascii")
    return tokens


def check_expires_minutes(minutes: int, most: int = MAX_EXPIRES_MINUTES) -> int:
    """Return the validity of a user token in minutes, if it is possible. Raises InvalidInput."""
    if not 1 <= minutes <= most:
        raise InvalidInput(
            f"a token cannot be valid for {minutes} minutes", hint=f"1 to {most}; the most is jwt_max_token_expires"
        )
    return minutes


def _of_config(path: Path, *, has_ledger: bool) -> Place:
    """The settings of the config file; none where there is no such file.

    One that may not be looked for counts as none where something else names the ledger: a service often has another
    user's home.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Place()
    except OSError as error:
        if has_ledger:
            return Place()
        raise unreadable(path, error, "make it readable; or name the ledger with --db or WALLET_DB") from None
    if stat.S_ISCHR(mode):  # /dev/null: no config file
        return Place()
    return read_config(read_file(path, mode), path, mode)


def read_file(path: Path, mode: int) -> bytes:
    """What a file of settings, of this mode, holds. Raises InvalidInput for what is no file, or may not be read, and
    StorageError where reading fails.
    """
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"cannot read {path}: it is not a file", hint="check the path")
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "check the path") from None


def read_toml(text: bytes, path: Path) -> dict[str, Any]:
    """What the text of a config file says, whatever that is. Raises InvalidInput for invalid TOML."""
    import tomllib

    try:
        return tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"cannot read {path}: {error}", hint='it is TOML: name = "value"') from None


def read_config(text: bytes, path: Path, mode: int = 0) -> Place:
    """The settings in the text of a config file. Raises InvalidInput for invalid TOML or an unknown setting."""
    found = read_toml(text, path)
    ledgers = found.pop("ledgers", {})
    if not isinstance(ledgers, dict) or not all(isinstance(each, dict) for each in ledgers.values()):
        raise InvalidInput(f"{path}: ledgers is not a table of tables", hint='[ledgers.till], then db = "…"')
    named = {}
    for name, table in ledgers.items():
        where = f"ledgers.{name}"
        if re.fullmatch(LEDGER_NAME, name) is None:
            raise InvalidInput(f"{path}: a ledger cannot be called {shown(name)}", hint="1 to 32 of A-Z a-z 0-9 _ -")
        if "db" not in table:
            raise InvalidInput(
                f"{path}: [{where}] does not say where the ledger is",
                hint=f"say it first: wallet config set {where}.db DB; or forget it: wallet config unset {where}",
            )
        named[name] = Place(_of_table(table, OF_NAMED_LEDGER, path, f"{where}."), mode, file=str(path))
    return Place(_of_table(found, list(BY_NAME), path), mode, named, str(path))


def _of_table(table: Mapping[str, Any], names: Sequence[str], path: Path, where: str = "") -> dict[str, Value]:
    for name, value in table.items():
        if name not in names:
            raise InvalidInput(f"{path}: there is no setting {shown(where + name)}", hint=suggestion(name, names))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInput(f"{path}: {where}{name} is not text or a number", hint=f'{name} = "…"')
    source = f"{path}: {where[:-1]}" if where else str(path)
    return {name: Value(str(value), source) for name, value in table.items()}


def _covered(setting: Setting, value: Value) -> str:
    if setting.name == "db":
        return shown_url(value.text)
    return "(set, not shown)" if setting.secret and value.source != "default" else value.text

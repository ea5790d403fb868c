"""`wallet init`: a new ledger, by four questions or by options. It is never needed: the first command makes one too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import typer

from wallet_cli.cli.by_hand import ask, can_ask
from wallet_cli.cli.command import opened
from wallet_cli.cli.output import Record, notice
from wallet_cli.domain.ids import DEFAULT_TYPE, UserId, WalletName, check_name, parse_type
from wallet_cli.domain.purpose import Purpose, there_already
from wallet_cli.errors import InvalidInput, LedgerNotFound, shown, shown_url

SETTINGS = ("currency", "phone_region", "timezone")


def init(
    flags: Mapping[str, str],
    currency: Annotated[
        str | None,
        typer.Option(
            "--currency", metavar="C", help="Currency of its wallets: ISO 4217, CODE/N.", show_default="the setting"
        ),
    ] = None,
    phone_region: Annotated[
        str | None,
        typer.Option(
            "--phone-region", metavar="REGION", help="Region of numbers with no `+`.", show_default="the setting"
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Time zone of its days.", show_default="the setting"),
    ] = None,
    phone: Annotated[
        str | None, typer.Option("--phone", metavar="PHONE", help="Register a first user.", show_default="none")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The first user's name.", show_default=False)] = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Type of the first user's wallet.", show_default=DEFAULT_TYPE),
    ] = None,
) -> Record:
    """On a terminal it asks for what is not given; elsewhere it takes that from the settings.

    Examples:
        wallet --db shop.db init --currency EUR --timezone Europe/Berlin
        wallet --db till.db init --phone 9886977544 --name Meera
        wallet init                                 # refused: there is a ledger already (exit 2)
    """
    from wallet_cli import settings
    from wallet_cli.settings import Value

    chosen = settings.load(flags, notify=notice)
    settings.check_db(chosen.db, elsewhere=False)
    where = shown_url(chosen.db)
    _must_be_new(flags, where)
    if name is not None and phone is None:
        raise InvalidInput("a name is a user's: give the number too", hint="--phone PHONE --name NAME")
    given = {"currency": currency, "phone_region": phone_region, "timezone": timezone}
    values = dict(chosen.values)
    asked = can_ask(flags)
    if type_ is not None and phone is None and not asked:
        raise InvalidInput("a type is that of a user's wallet: give the number too", hint="--phone PHONE --type TYPE")

    def choose(setting: str, text: str, source: str) -> None:
        """Take a setting for the new ledger. Raises InvalidInput for what it cannot be."""
        told = settings.Settings({**values, setting: Value(text, source)})
        told.of_new_ledger()
        values[setting] = told.values[setting]

    def choose_typed(setting: str, text: str) -> None:
        """The same, as people type it: `inr`."""
        choose(setting, text if setting == "timezone" else text.upper(), "your answer")

    for setting, text in given.items():
        if text is not None:
            choose(setting, text, f"--{setting.replace('_', '-')}")
    if asked:
        notice(f"A new ledger, {where}. Enter takes what is in brackets; Ctrl-C makes nothing.")
        for setting, question in (
            ("currency", "Currency of its wallets (ISO 4217, such as INR)"),
            ("phone_region", "Country of phone numbers with no + (such as IN)"),
            ("timezone", "Time zone of its days (such as Asia/Kolkata)"),
        ):
            if given[setting] is None:
                _ask_for(question, _now(settings.Settings(values), setting), partial(choose_typed, setting))
    region = values["phone_region"].text
    if phone is not None:
        _check_user(phone, name, region)
    elif asked:
        user: list[tuple[str, str | None]] = []

        def take(text: str) -> None:
            number, called = _split(text)
            _check_user(number, called, region)
            user.append((number, called))

        _ask_for("First user: phone number, and name if you like", "none", take)
        if user:
            phone, name = user[0]
    type_ = DEFAULT_TYPE if type_ is None else parse_type(type_)
    told = {name_: value.text for name_, value in values.items() if name_ in SETTINGS and value != chosen.values[name_]}
    with opened({**flags, **told}, Purpose.NEW) as ledger:
        facts, wallet = ledger.facts(), None
        if phone is not None:
            made = ledger.register(phone, name)
            wallet = ledger.create(WalletName(UserId(made["id"]), type_))["wallet"]
        return Record({**facts, "wallet": wallet}, value="db" if wallet is None else "wallet", kind="ledger")


def _must_be_new(flags: Mapping[str, str], where: str) -> None:
    """Raises InvalidInput where there is a ledger already; the error of a database that does not answer."""
    try:
        with opened(flags, Purpose.READ) as ledger:
            ledger.facts()
    except LedgerNotFound:
        return
    raise there_already(where)


def _now(settings: object, setting: str) -> str:
    """What a setting is, as it is offered."""
    from wallet_cli.settings import Settings

    assert isinstance(settings, Settings)
    return str(getattr(settings.of_new_ledger(), setting))


def _ask_for(question: str, default: str, take: Callable[[str], None]) -> None:
    """Ask until the answer can be taken; with none, or the default itself, that stays."""
    while True:
        text = ask(f"{question} [{default}]:")
        if text.lower() in ("", default.lower()):
            return
        try:
            take(text)
            return
        except InvalidInput as error:
            notice(f"{error.message}{f' ({error.hint})' if error.hint else ''}")


def _split(text: str) -> tuple[str, str | None]:
    """`9886977544 Asha Rao` as the number and the name."""
    start = re.search(r"[^\W\d_]", text)
    if start is not None and not text[: start.start()].strip():
        raise InvalidInput(f"the number comes before the name: {shown(text)}", hint="such as 9886977544 Asha")
    return (text, None) if start is None else (text[: start.start()].strip(), text[start.start() :].strip())


def _check_user(phone: str, name: str | None, region: str) -> None:
    from wallet_cli.domain.phone import parse_phone

    parse_phone(phone, region)
    if name is not None:
        check_name(name)

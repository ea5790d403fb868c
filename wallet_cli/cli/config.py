"""`wallet config path`, `show`, `get`, `set`, `unset` and `edit`"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from wallet_cli import settings
from wallet_cli.cli import config_file
from wallet_cli.cli.output import Listing, Record, notice
from wallet_cli.domain.host import check_encrypted
from wallet_cli.domain.money import parse_minimum
from wallet_cli.errors import InvalidInput, WalletError, shown, shown_url, suggestion

EDITORS = ("vi", "nano", "notepad")
PATHS = ("db", "token_file", "ca_file", "seal_to")
CODES = ("currency", "phone_region")
"""Written in capitals, however they are typed."""
OF_MINIMUM = ("currency", "minimum_balance")
"""A minimum has to be one that the currency can have."""

Answer = TypeVar("Answer")

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A name that `wallet config show` prints: currency, ledgers.till.db.", show_default=False
    ),
]


def path() -> Record:
    """
    Examples:
        wallet config path
        wallet config path --json                   # and whether it is there
    """
    found = settings.config_path()
    return Record({"path": str(found), "exists": os.path.isfile(found)}, value="path")  # noqa: PTH113


def show(flags: Mapping[str, str]) -> Listing:
    """A wrong value is told on stderr, and as `problem` with --json.

    Examples:
        wallet config show
        wallet config show --json
        WALLET_CURRENCY=EUR wallet config show -o csv
    """
    chosen = _in_force(flags)
    rows = chosen.shown()
    for row in rows:
        try:
            chosen.check(row["name"])
        except InvalidInput as error:
            row["problem"] = error.message
            notice(f"{error.message}; hint: {error.hint}")
    return Listing(rows, ("name", "value", "source"), value="value", kind="setting")


def get(flags: Mapping[str, str], name: NameArgument) -> Record:
    """
    Examples:
        wallet config get db -q
        wallet config get currency                  # and where it comes from
        wallet config get colour                    # there is no such setting (exit 2)
    """
    chosen = _in_force(flags)
    found = _row(chosen, name)
    chosen.check(name)
    return Record(found, value="value")


def set_(
    flags: Mapping[str, str],
    name: NameArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What it is to be.", show_default=False)],
) -> Record:
    """It is checked first. Secrets are refused here: the list of processes and the shell's history would show them.

    Examples:
        wallet config set currency EUR
        wallet config set ledgers.till.db ~/till.db     # now `wallet --ledger till …`
        wallet config set currency EURO             # refused, as there is none (exit 2)
    """
    ledger, key = _parsed(name)
    if key is None:
        raise InvalidInput(f"{name} is a group of settings", hint=f"wallet config set {name}.db DB")
    _refuse_secret(key, value)
    text = _whole_path(value) if key in PATHS else value.upper() if key in CODES else value

    def alter(document: Any) -> None:
        table = document
        for each in () if ledger is None else ("ledgers", ledger):
            if not isinstance(table.get(each), dict):
                table.pop(each, None)
                table[each] = {}
            table = table[each]
        table[key] = text

    def check(kept: settings.Settings, says: settings.Place) -> tuple[settings.Settings, settings.Settings]:
        in_force = _in_force(flags) if key in OF_MINIMUM else kept
        _check(settings.Settings({**in_force.values, key: settings.Value(text, "the command line")}), key)
        return kept, settings.load(flags, to_show=True, says=says)

    kept, now = _change(alter, check)
    if ledger is None and now.values[key] != kept.values[key]:
        beats = next(each for each in (now.values[key], now.values["db"]) if each.source != "default")
        notice(f"{beats.source} says something else, and counts before the config file")
    if key == "timezone":
        notice("it is for new ledgers; one that is there keeps its own: `wallet ledger set timezone ZONE` changes that")
    return Record(_row(kept, name), value="value")


# A minimum below 0 is no option.
set_.context_settings = {"ignore_unknown_options": True}  # type: ignore[attr-defined]


def unset(flags: Mapping[str, str], name: NameArgument) -> Record:
    """`ledgers.NAME` forgets all that is said of that ledger here; the ledger itself stays where it is. What is in the
    file by mistake can be taken out too.

    Examples:
        wallet config unset currency
        wallet config unset ledgers.till
    """
    *tables, key = name.split(".")

    def alter(document: Any) -> None:
        within = [document]
        for each in tables:
            found = within[-1].get(each)
            within.append(found if isinstance(found, dict) else {})
        if name == "ledgers" or key not in within[-1]:
            _parsed(name)
            notice(f"{name} is not set in {settings.config_path()}")
        else:
            del within[-1][key]
        if len(tables) == 2 and not within[-1]:  # a ledger of which nothing is said any more
            within[1].pop(tables[1], None)
        chosen = document.get("ledger")
        if tables[:1] == ["ledgers"] and name.split(".")[1] == chosen and chosen not in within[1]:
            raise InvalidInput(
                f"{shown(chosen)} is the ledger that {settings.config_path()} chooses",
                hint="choose none first: wallet config unset ledger; or another: wallet config set ledger NAME",
            )

    def left(_: settings.Settings, says: settings.Place) -> dict[str, str | None]:
        if name not in settings.BY_NAME:
            return {"name": name, "value": None, "source": None}
        return {**_row(_in_force(flags, says), name)}

    return Record(_change(alter, left), value="value" if name in settings.BY_NAME else "name")


def edit() -> Record:
    """What the editor leaves is checked before it takes the place of the file. VISUAL and EDITOR name the editor.

    Examples:
        wallet config edit
        EDITOR=nano wallet config edit
    """
    place = settings.config_path()
    before = config_file.read(place)
    with config_file.drafted(place, before) as (draft, is_left):
        if is_left:
            notice(f"an earlier edit left its text, which is opened again: {draft}")
        try:
            _run_editor(draft)
            if not draft.exists():
                raise InvalidInput(f"the editor left no {draft}", hint="nothing was changed")
            after = config_file.read(draft)
            if config_file.read(place) != before:
                raise InvalidInput(f"{place} was changed by somebody else meanwhile", hint="look at both")
            chosen = settings.of_config_alone(settings.read_config(after, place), place)
            for row in chosen.shown():
                chosen.check(row["name"])
            if after != before:
                config_file.replace(place, after)
        except WalletError as error:
            if draft.exists() and config_file.read(draft) != before:
                error.hint = (
                    f"{error.hint}; the file is as it was, and `wallet config edit` opens your text again: {draft}"
                )
            raise
    return Record({"path": str(place), "changed": after != before}, value="path")


def _in_force(flags: Mapping[str, str], says: settings.Place | None = None) -> settings.Settings:
    """The settings, with what the ledger says where nobody chose; `says` is what the config file is to say."""
    from wallet_cli.operations.context import known_facts

    chosen = settings.load(flags, notify=notice, to_show=True, says=says)
    return chosen.within(known_facts(chosen))


def _row(chosen: settings.Settings, name: str) -> dict[str, str]:
    rows = {row["name"]: row for row in chosen.shown()}
    if name not in rows:
        raise InvalidInput(f"there is no setting {shown(name)}", hint=suggestion(name, rows))
    return rows[name]


def _parsed(name: str) -> tuple[str | None, str | None]:
    """The ledger that a setting is of, if it is of a named one, and its name there; None for all of them.

    Raises InvalidInput for a name that is none.
    """
    first, *rest = name.split(".")
    if first != "ledgers" or not 1 <= len(rest) <= 2:
        if name not in settings.BY_NAME:
            raise InvalidInput(f"there is no setting {shown(name)}", hint=suggestion(name, settings.BY_NAME))
        return None, name
    if re.fullmatch(settings.LEDGER_NAME, rest[0]) is None:
        raise InvalidInput(f"a ledger cannot be called {shown(rest[0])}", hint="1 to 32 of A-Z a-z 0-9 _ -")
    if len(rest) == 2 and rest[1] not in settings.OF_NAMED_LEDGER:
        raise InvalidInput(
            f"a named ledger has no setting {shown(rest[1])}", hint=suggestion(rest[1], settings.OF_NAMED_LEDGER)
        )
    return rest[0], rest[1] if len(rest) == 2 else None


def _refuse_secret(key: str, value: str) -> None:
    if not value:
        raise InvalidInput(f"{key} is empty", hint="`wallet config unset` takes it out")
    if settings.BY_NAME[key].secret:
        file = " or token_file, which names a file" if key == "token" else ""
        raise InvalidInput(
            f"{key} is a secret, and is not taken from a command line",
            hint=f"use {settings.BY_NAME[key].variables[0]} in the environment,{file} or `wallet config edit`",
        )
    if key == "db" and shown_url(value) != value:
        raise InvalidInput(
            "this address has a password, and a secret is not taken from a command line",
            hint="leave it out: PostgreSQL reads ~/.pgpass; or `wallet config edit`",
        )


def _check(would_be: settings.Settings, key: str) -> None:
    """Raises InvalidInput for a value that would be refused, or be read as another one, when it is used."""
    would_be.check(key)
    if key == "db":
        check_encrypted(would_be.db)
    if key in OF_MINIMUM:
        parse_minimum(would_be.minimum_balance, would_be.currency)


def _whole_path(text: str) -> str:
    """A path that is valid from any folder; an address unchanged."""
    return text if re.match(settings.ELSEWHERE, text) or text.startswith("~") else os.path.abspath(text)  # noqa: PTH100


def _change(alter: Callable[[Any], object], check: Callable[[settings.Settings, settings.Place], Answer]) -> Answer:
    """Change the config file; `check` is told what it would say. Returns what `check` does: nothing is read, and can
    fail, after the change.
    """
    path = settings.config_path()
    found: list[Answer] = []

    def checked(says: settings.Place) -> None:
        found.append(check(settings.of_config_alone(says, path), says))

    config_file.change(path, alter, checked)
    return found[0]


def _run_editor(draft: Path) -> None:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not named and not sys.stdin.isatty():
        raise InvalidInput("an editor needs a terminal", hint="wallet config set NAME VALUE")
    try:
        words = shlex.split(named) if named else [next(filter(shutil.which, EDITORS), "")]
    except ValueError:
        told = f"the editor's quotation marks are not closed: {shown(named or '')}"
        raise InvalidInput(told, hint="export EDITOR=nano") from None
    if not words or not words[0]:
        raise InvalidInput("no editor is set", hint="export EDITOR=nano")
    try:
        code = subprocess.run([*words, str(draft)], check=False).returncode  # noqa: S603  (the user's own)
    except OSError as error:
        raise InvalidInput(f"cannot start {shown(words[0])}: {error.strerror}", hint="export EDITOR=nano") from None
    if code:
        raise InvalidInput(f"the editor ended with code {code}", hint="nothing was changed")

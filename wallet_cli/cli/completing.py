"""What is answered where somebody presses TAB: the words that may stand there, from the tree of commands, the
parameters of the command, and the ledger (operations/glimpse.py).

A shell runs `wallet` with `_WALLET_COMPLETE` set to its name. zsh and fish give the words up to the cursor, the last
one unfinished; bash gives the line, and the characters that end a word for it. The first line of the answer is `words`
or `files`; then comes a word a line, for zsh and fish with a tab and what it means. Nothing is ever said on stderr, the
exit code is 0, and after LONGEST_S it is over: somebody is typing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wallet_cli.cli import tree
from wallet_cli.cli.tree import Command, Group

if TYPE_CHECKING:
    from wallet_cli.operations.glimpse import Look, Owner
    from wallet_cli.settings import Settings

LONGEST_S = 1.0
LONGER = "_WALLET_COMPLETE_SECONDS"
"""The variable with another limit, for a machine that is very slow."""

MOST = 200
"""More words than that are no help to anybody."""


class Word(NamedTuple):
    """What may stand at the cursor, and what it means."""

    text: str
    about: str = ""


class Files(Exception):
    """The shell knows better: the names of files."""


class Line(NamedTuple):
    """A command line up to the cursor: whole words, and the unfinished one.

    `before` is how much of the unfinished one the shell leaves as it is, and `quote` the quote that is open in it.
    """

    words: Sequence[str]
    last: str
    before: int = 0
    quote: str = ""


def run(shell: str, arguments: Sequence[str]) -> None:
    """Answer a shell, and end the process."""
    from threading import Timer

    too_late = Timer(float(os.environ.get(LONGER, LONGEST_S)), os._exit, (0,))
    too_late.daemon = True
    too_late.start()
    try:
        sys.stdout.write(answer(shell, arguments))
        sys.stdout.flush()
    except BaseException:
        if os.environ.get("WALLET_DEBUG") == "1":
            raise
    os._exit(0)


def answer(shell: str, arguments: Sequence[str]) -> str:
    """What a shell is told. Raises whatever goes wrong."""
    if shell not in ("bash", "zsh", "fish"):
        return ""  # a script of another version
    line = read_line(*arguments) if shell == "bash" else Line(arguments[:-1], "".join(arguments[-1:]))
    try:
        found = words_for(line.words, line.last)
    except Files:
        return "files\n"
    shown = (for_bash(word.text, line) if shell == "bash" else f"{word.text}\t{word.about}" for word in found)
    return "".join(f"{text}\n" for text in ["words", *filter(None, shown)])


# What may stand there


def words_for(words: Sequence[str], last: str) -> list[Word]:
    """The words that may stand at the cursor. Raises Files where it is the name of a file."""
    has_options = [*words, last][0].startswith("-")
    root = scan(_params_of_root() if has_options else (), words, root=True)
    if root.awaits is not None or (last.startswith("-") and not root.arguments):
        return _in_command("", root, last)
    here: Mapping[str, Command | Group] = tree.TREE
    for at, word in enumerate(root.arguments, 1):
        found = here.get(word)
        if isinstance(found, Command):
            name = " ".join(root.arguments[:at])
            scanned = scan(_params_of(found, word), root.arguments[at:])
            return _in_command(name, scanned._replace(flags=root.given), last)
        if found is None:
            return []
        here = found.commands
    return _fitting((Word(name, what.help) for name, what in here.items()), last)


class Scanned(NamedTuple):
    """The words of a command, assigned to its parameters.

    `awaits` is the option whose value comes next, `given` are the values of the others by the names of parameters, and
    `used` the options that are there. `ended`: after `--`, all are arguments. `flags` are the options before the
    command.
    """

    params: Sequence[Any]
    arguments: list[str]
    given: dict[str, str]
    used: set[str]
    awaits: Any = None
    ended: bool = False
    flags: Mapping[str, str] = {}


def scan(params: Sequence[Any], words: Sequence[str], *, root: bool = False) -> Scanned:
    """Tell words apart; with `root`, all that comes after the first argument is left as it is."""
    options = {name: param for param in params if param.param_type_name == "option" for name in param.opts}
    found = Scanned(params, [], {}, set())
    rest = iter(words)
    for word in rest:
        if found.ended or not word.startswith("-") or word == "-":
            found.arguments.append(word)
            if root:
                found.arguments.extend(rest)
            continue
        if word == "--":
            found = found._replace(ended=True)
            continue
        name, has_value, value = word.partition("=")
        if not word.startswith("--") and name not in options:
            name, has_value, value = word[:2], word[2:], word[2:]  # as -ojson
        param = options.get(name)
        if param is None:
            continue
        found.used.add(param.name)
        if not param.is_flag:
            if not has_value:
                following = next(rest, None)
                if following is None:
                    return found._replace(awaits=param)
                value = following
            found.given[param.name] = value
    return found


def _in_command(name: str, scanned: Scanned, last: str) -> list[Word]:
    """What may follow in a command; the program itself, where the name is empty."""
    param, before = scanned.awaits, ""
    if param is None and last.startswith("-") and not scanned.ended:
        options = [param for param in scanned.params if param.param_type_name == "option"]
        before, has_value, _ = last.partition("=")
        if not has_value:
            may = (param for param in options if param.name not in scanned.used or getattr(param, "multiple", False))
            return _fitting([Word(param.opts[0], param.help) for param in may] + [HELP], last)
        param = next((param for param in options if before in param.opts and not param.is_flag), None)
        before += "="
    elif param is None:
        taken = [param for param in scanned.params if param.param_type_name == "argument"]
        at = len(scanned.arguments)
        param = taken[at] if at < len(taken) else next((each for each in taken if each.nargs == -1), None)
    if param is None:
        return []
    found = _values(name, param, scanned, last.removeprefix(before))
    return [Word(before + word.text, word.about) for word in _fitting(found, last.removeprefix(before))]


HELP = Word("--help", "Show this message and exit.")


def _values(name: str, param: Any, scanned: Scanned, last: str) -> Iterable[Word]:
    """What a parameter may be. Raises Files."""
    from wallet_cli.cli.help_text import choices_of, value_name

    choices = choices_of(param)
    if choices:
        return map(Word, choices)
    kind = value_name(param)
    if kind in ("FILE", "FOLDER", "DB", "SEAL"):
        raise Files
    if name == "help":
        return _of_help(scanned.arguments)
    if param.name == "kind":
        from wallet_cli.operations.transactions import KINDS

        return map(Word, KINDS)
    if param.name == "profile":
        from wallet_cli.settings import config_path

        return [Word(path.stem) for path in sorted(config_path().with_name("import").glob("*.toml"))]
    if param.name == "ledger" and not name:
        return _named_ledgers()
    if name == "ledger set" and kind == "KEY":
        from wallet_cli.settings import LEDGER_SETTINGS

        return map(Word, LEDGER_SETTINGS)
    if name.startswith("config "):
        whole = [Word(f"ledgers.{each.text}") for each in _named_ledgers()] if name == "config unset" else []
        return [*_settings(scanned.flags), *whole] if kind == "NAME" else ()
    return _known(name, param.name, kind, scanned, last)


def _of_help(arguments: Sequence[str]) -> Iterable[Word]:
    from wallet_cli.cli import topics

    if not arguments:
        named = [Word(each, what.help) for each, what in tree.TREE.items()]
        return named + [Word(each, topics.title_of(each)) for each in topics.NAMES]
    group = tree.TREE.get(arguments[0])
    return [Word(each, what.help) for each, what in group.commands.items()] if isinstance(group, Group) else []


def _loaded(flags: Mapping[str, str]) -> Settings:
    from wallet_cli import settings

    return settings.load(flags)


def _named_ledgers() -> Iterable[Word]:
    names = (row["name"].split(".") for row in _loaded({}).shown())
    return map(Word, dict.fromkeys(each[1] for each in names if each[0] == "ledgers"))


def _settings(flags: Mapping[str, str]) -> Iterable[Word]:
    return [Word(row["name"], row["value"]) for row in _loaded(flags).shown()]


# What the ledger knows


def _known(name: str, param: str, kind: str, scanned: Scanned, last: str) -> Iterable[Word]:
    """What the ledger knows of what may stand there."""
    if kind not in ("WALLET", "FROM", "TO", "USER", "WHOSE", "HOLD", "ID") and param not in ("currency", "key", "name"):
        return ()
    look = _look(_loaded(scanned.flags))
    if kind in ("WALLET", "FROM", "TO"):
        return _new_wallets(look, last) if name.endswith("create") else _wallets(look, last)
    if kind == "WHOSE":
        return _wallets(look, last) if "/" in last or last[:1] in ("w", "W") else _users(look, last)
    if kind == "USER":
        return _users(look, last)
    if kind in ("HOLD", "ID"):
        ids = look.holds(last) if kind == "HOLD" else look.transactions(last)
        return [Word(id_, note) for id_, note in ids]
    if param == "currency":
        return map(Word, look.currencies())
    if name in ("tx list", "history") and scanned.arguments:
        return map(Word, look.keys(scanned.arguments[0], last))
    return map(Word, look.operators()) if name == "key revoke" else ()


def _look(chosen: Settings) -> Look:
    if chosen.db.startswith(("http://", "https://")):
        from wallet_cli.remote.glimpse import RemoteLook

        return RemoteLook(chosen)
    from wallet_cli.operations.glimpse import LocalLook

    return LocalLook(chosen.db, chosen.given("phone_region"))


def _typed(owner: Owner, last: str) -> list[str]:
    """A user as somebody types them who began so: by the number, unless they began with something else."""
    if last[:1].isalpha():
        return [f"id:{owner.id}"] if last.startswith("id:") else [owner.name] if owner.name else []
    if last.startswith("+"):
        return [owner.e164]
    return [owner.phone, str(owner.id)] if last else [owner.phone]


def _users(look: Look, last: str) -> list[Word]:
    return [Word(each, _other_name(owner, each)) for owner in look.users(last) for each in _typed(owner, last)]


def _other_name(owner: Owner, typed: str) -> str:
    """What tells a user beside what is typed: the name beside a number, and a number beside the name."""
    return owner.phone if typed == owner.name else owner.name or ""


def _wallets(look: Look, last: str) -> Iterable[Word]:
    user, slash, _ = last.partition("/")
    for wallet in look.wallets(last):
        if last[:1] == "w" and not slash:
            yield Word(f"w{wallet.id}", " ".join(filter(None, (wallet.type, wallet.owner.name, wallet.currency))))
        for each in _typed(wallet.owner, user):
            about = f"{_other_name(wallet.owner, each)} {wallet.currency}"
            if not slash and wallet.type == "main":
                yield Word(each, about)
            elif not slash or each == user:
                yield Word(f"{each}/{wallet.type}", about)


def _new_wallets(look: Look, last: str) -> Iterable[Word]:
    """Users; after the slash, types that others have and this one has not."""
    user, slash, _ = last.partition("/")
    if not slash:
        return _users(look, user)
    taken = {wallet.type for wallet in look.wallets(user) if user in _typed(wallet.owner, user)}
    types = dict.fromkeys(wallet.type for wallet in look.wallets(""))
    return [Word(f"{user}/{type_}") for type_ in types if type_ not in taken]


def _fitting(words: Iterable[Word], last: str) -> list[Word]:
    """The words that begin with the typed text, in either case, and are safe in a line and a terminal."""
    typed = last.casefold()
    found = []
    for word in words:
        if word.text.isprintable() and word.text[: len(last)].casefold() == typed:
            about = " ".join(word.about.split())
            found.append(Word(word.text, about if about.isprintable() else ""))
            if len(found) == MOST:
                break
    return found


def _params_of_root() -> Sequence[Any]:
    import typer

    from wallet_cli.cli.app import app

    params: Sequence[Any] = typer.main.get_command(app).params
    return params


def _params_of(command: Command, name: str) -> Sequence[Any]:
    from wallet_cli.cli.command import built

    params: Sequence[Any] = built(command, name).params
    return params


# As bash has it


def read_line(text: str, breaks: str = "") -> Line:
    """Take a line up to the cursor apart, as bash would. Nothing in it is expanded."""
    words: list[str] = []
    word, start, quote, is_word = "", 0, "", False
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if quote:
            if character == quote:
                quote, start = "", len(word)
                continue
            if character == "\\" and quote == '"' and text[at : at + 1] in ('"', "\\", "$", "`"):
                character, at = text[at], at + 1
        elif character in "\"'":
            quote, is_word, start = character, True, len(word)
            continue
        elif character.isspace():
            if is_word:
                words.append(word)
            word, start, is_word = "", 0, False
            continue
        elif character == "\\":
            character, at = text[at : at + 1], at + 1
        elif character in breaks:
            start = len(word) + 1  # bash treats the rest as a separate word
        word, is_word = word + character, True
    return Line(words[1:], word, start if quote or start <= len(word) else 0, quote)


PLAIN_IN_BASH = r"0-9A-Za-z_./,:=@%+\-\u0080-\U0010ffff"
"""What means itself in bash: of what is printable beyond ASCII, everything, such as the marks of Devanagari."""


def for_bash(text: str, line: Line) -> str | None:
    """A word as it is put in the place of what bash takes for the last one; None where it cannot be said there."""
    rest = text[line.before :]
    if line.quote:
        return rest if re.fullmatch(rf"[ {PLAIN_IN_BASH}]*", rest) else None
    return re.sub(rf"([^{PLAIN_IN_BASH}])", r"\\\1", rest)

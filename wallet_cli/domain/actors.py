"""Who did something: the text that is stored and hashed with each transaction and event.

The first word says how they were known, and the rest who they are:

    key till-1            an operator key, over HTTP
    token user:7          a user's token, over HTTP
    terminal asha         a command, by the system's name of the user who ran it
    import customers.csv  a line of a file that was imported on this machine
    no-auth local         a caller of `wallet serve --no-auth`

Rows from before actors were kept have none.
"""

from __future__ import annotations

from wallet_cli.named_tuples import NamedTuple

MAX_ACTOR_CHARS = 200


class Actor(NamedTuple):
    """`who`, and how they were known: `key`, `token`, `terminal`, `import`, `no-auth`."""

    via: str
    who: str


def by_key(name: str) -> str:
    return f"key {name}"


def by_user(user_id: int) -> str:
    return f"token user:{user_id}"


def by_terminal(name: str) -> str:
    return _printable(f"terminal {name}")


def by_import(file: str) -> str:
    return _printable(f"import {file}")


BY_ANYBODY = "no-auth local"


def actor_of(stored: str) -> Actor:
    """The parts of a stored text. An import is told with its word: `import customers.csv`."""
    via, _, who = stored.partition(" ")
    return Actor(via, stored if via == "import" else who)


def _printable(text: str) -> str:
    """The text in one line, which every engine can keep: other characters are shown as `?`."""
    return "".join(each if each.isprintable() else "?" for each in text)[:MAX_ACTOR_CHARS]

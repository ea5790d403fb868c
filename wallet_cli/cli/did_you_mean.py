"""What may have been meant by a command or an option that is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from typer._click.exceptions import NoSuchOption, UsageError

from wallet_cli.cli.tree import TREE, Group
from wallet_cli.likely import likely


def command_or_option(error: Exception, context: Any) -> str | None:
    """A command line, or the option, that is much like what was typed; None where nothing is."""
    if context is None or not isinstance(error, UsageError):
        return None
    if isinstance(error, NoSuchOption):
        options = (name for parameter in context.command.params for name in parameter.opts if name.startswith("--"))
        return likely(error.option_name, options)
    _, start, rest = error.message.partition("No such command '")
    if not start:
        return None
    typed, within = rest.partition("'")[0], context.command_path.split()[1:]
    known: Iterable[str] = TREE
    if within:
        group = TREE.get(within[0])
        known = group.commands if isinstance(group, Group) else ()
    found = likely(typed, known)
    return None if found is None else f"`{' '.join(['wallet', *within, found])}`"

"""The tree of commands, as data: what each is for in one line, where its function is, and what it does to the ledger.

A run imports the one module that it needs; lists of commands (help, completion, the pages of the manual) need none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wallet_cli.domain.purpose import Purpose
from wallet_cli.named_tuples import NamedTuple

READ, WRITE, MAKE = Purpose.READ, Purpose.WRITE, Purpose.MAKE


class Command(NamedTuple):
    """A command: the `help` of one line, its function as `module:name` within wallet_cli.cli, and its effect.

    `purpose` is what the ledger is opened for, None where the command opens none, or does so itself: `by_itself` is
    what for, at most. One that writes only where a value of `writes_with` is given reads otherwise. `done` is what it
    has done by the time that it answers, to the ledger or beside it, and where that can be seen: what is said where the
    answer cannot be printed. One that `checks` the ledger finds out itself what other readers are warned of. One that
    `rehearses` makes no ledger where it is refused.
    """

    help: str
    function: str
    purpose: Purpose | None = READ
    done: str = ""
    writes_with: tuple[str, ...] = ()
    checks: bool = False
    rehearses: bool = False
    by_itself: Purpose | None = None

    @property
    def effect(self) -> str:
        """What it may do to the ledger, or beside it: `none`, `read` or `write`."""
        opened_for = self.purpose or self.by_itself
        if self.done or opened_for in (WRITE, MAKE):
            return "write"
        return "none" if opened_for is None else "read"

    @property
    def makes_ledger(self) -> bool:
        """Whether it may make a ledger."""
        return MAKE in (self.purpose, self.by_itself)

    def writes(self, values: Mapping[str, Any]) -> bool:
        """Whether it changes anything when it is given these values."""
        given = (values[name] not in (None, False) for name in self.writes_with)
        return bool(self.done) and (not self.writes_with or any(given))

    def purpose_with(self, values: Mapping[str, Any]) -> Purpose:
        """What the ledger is opened for when the command is given these values."""
        if self.purpose is None or not self.writes(values):
            return Purpose.READ
        return Purpose.TRY if values.get("dry_run") else self.purpose


class Group(NamedTuple):
    """A command with commands under it."""

    help: str
    commands: Mapping[str, Command]


OPENED = "the wallet is open: `wallet list` shows it"
POSTED = "the write is done: `wallet tx list WALLET` shows it"
STATUS_SET = "the write is done: `wallet balance WALLET` shows its status"
ON_HOLD = "the write is done: `wallet hold list WALLET` shows it"

CREATE = Command("Open a wallet; a user has at most one of each type.", "wallet:create", MAKE, OPENED, rehearses=True)

SECTIONS: Mapping[str, Mapping[str, Command | Group]] = {
    "Users and wallets": {
        "register": Command(
            "Register a user by phone number.",
            *("register:register", MAKE, "the user is registered: `wallet users` shows the id"),
            rehearses=True,
        ),
        "users": Command("List the users, in the order in which they registered.", "register:users"),
        "create": CREATE,
        "find": Command("Find users by name or number, and transactions by note.", "find:find"),
        "use": Command(
            "Choose the wallet that is meant when none is named.",
            *("use:use", READ, "the choice is made: `wallet use` shows it"),
            ("wallet", "clear"),
        ),
        "list": Command("List wallets, in the order in which they were opened.", "wallet:list_"),
        "balance": Command("Show what a wallet holds, now or at a past time.", "wallet:balance"),
        "limits": Command(
            "Show a wallet's limits, or set those that are given; `none` removes one.",
            *("wallet:limits", WRITE, "the limits are set: `wallet limits WALLET` shows them"),
            ("minimum_balance", "maximum_balance", "daily_debit"),
        ),
        "freeze": Command("Freeze a wallet: nothing goes in or out.", "wallet:freeze", WRITE, STATUS_SET),
        "unfreeze": Command("Make a frozen wallet active again.", "wallet:unfreeze", WRITE, STATUS_SET),
        "close": Command(
            "Close a wallet for good; its balance has to be 0, with no holds.", "wallet:close", WRITE, STATUS_SET
        ),
        "wallet": Group("Open wallets.", {"create": CREATE}),
    },
    "Money": {
        "credit": Command("Put money into a wallet: `tx add --credit`.", "tx:credit", WRITE, POSTED),
        "debit": Command("Take money out of a wallet: `tx add --debit`.", "tx:debit", WRITE, POSTED),
        "history": Command("List transactions, the newest first: a wallet's, or those of all.", "tx:history"),
        "tx": Group(
            "Add, show, list, total and reverse transactions.",
            {
                "add": Command(
                    "Credit or debit a wallet; the answer is on disk before it is printed.", "tx:add", WRITE, POSTED
                ),
                "show": Command("Show one transaction, and how much of it has been reversed.", "tx:show"),
                "list": Command("List a wallet's transactions, the newest first.", "tx:list_"),
                "total": Command("Total a wallet's credits and debits over a period.", "tx:total"),
                "reverse": Command(
                    "Reverse a transaction, or a part of it, by a new one; nothing is ever edited or deleted.",
                    *("tx:reverse", WRITE, POSTED),
                ),
            },
        ),
        "transfer": Command(
            "Move money from one wallet to another, in one step; within one currency.", "tx:transfer", WRITE, POSTED
        ),
        "hold": Group(
            "Keep money for a later debit: add, capture, void and list holds.",
            {
                "add": Command(
                    "Keep money of a wallet from being spent, to be captured later; it is released when it expires.",
                    *("hold:add", WRITE, ON_HOLD),
                ),
                "capture": Command(
                    "Debit what a hold keeps, or a part of it; the rest is released, unless --keep.",
                    *("hold:capture", WRITE, ON_HOLD),
                ),
                "void": Command("Release what a hold keeps.", "hold:void", WRITE, ON_HOLD),
                "list": Command("List a wallet's holds, the newest first, ended ones too.", "hold:list_"),
            },
        ),
        "statement": Command(
            "Show a wallet's statement: balances, every line with its running balance, and totals by kind.",
            "statement:statement",
        ),
        "chart": Command(
            "Draw a wallet's balance over time, and its credits and debits by day, week or month.", "chart:chart"
        ),
    },
    "Files": {
        "import": Command(
            "Read transactions in; a line that was read before is not applied again.",
            *("import_export:import_", MAKE),
            "the import has ended: run it again without `--duplicates add`, and no line is applied twice",
        ),
        "export": Command("Write the ledger out, as of one moment, while others write.", "import_export:export"),
    },
    "The ledger": {
        "ledger": Group(
            "See and change the settings that the ledger keeps.",
            {
                "show": Command(
                    "Show the ledger's id, and the settings that it keeps for all who use it.", "ledger:show"
                ),
                "set": Command(
                    "Change a setting that the ledger keeps; what has happened stays as it was.",
                    *("ledger:set_", WRITE, "the setting is changed: `wallet ledger show` shows it"),
                ),
            },
        ),
        "audit": Command(
            "Show the audit log: who did what to users, wallets, holds and keys, the newest first.", "audit:audit"
        ),
        "verify": Command(
            "Check every total, sequence number and hash again; exit 7 naming the first bad row.",
            "verify:verify",
            checks=True,
        ),
        "seal": Command(
            "Sign what the ledger holds now, in one hash that no changed ledger can match.",
            *("seal:seal", None, "the seal is made: `wallet verify --against FILE` reads it"),
            ("target",),
            by_itself=WRITE,
        ),
        "receipt": Command(
            "Prove a transaction to its customer, who needs no access to the ledger.",
            *("seal:receipt", None),
            by_itself=WRITE,
        ),
        "backup": Command(
            "Back the ledger up to a file, while others write; the copy is verified.",
            *("backup:backup", None, "the backup is there: `ls` shows it"),
            by_itself=READ,
        ),
        "restore": Command(
            "Put a backup in the place of the ledger; what was there is kept.",
            *("backup:restore", None, "the backup is restored: `wallet verify` looks at it"),
            by_itself=MAKE,
        ),
        "doctor": Command(
            "Check the installation, the settings and the ledger; exit 7 if something is wrong.",
            *("doctor:doctor", None),
            by_itself=READ,
        ),
        "move": Command(
            "Move the ledger to a file or a PostgreSQL database; run the same command again to continue.",
            *("move:move", None, "what was asked for is done: run the same command again to see how far it is"),
            by_itself=WRITE,
        ),
    },
    "Serving": {
        "mcp": Command(
            "Serve the ledger to agents over stdio (Model Context Protocol).", "mcp:mcp", None, by_itself=WRITE
        ),
        "serve": Command(
            "Serve the ledger over HTTP; SIGTERM finishes what was accepted.", "serve:serve", None, by_itself=MAKE
        ),
        "key": Group(
            "Make, list and revoke operator keys for `wallet serve`.",
            {
                "create": Command(
                    "Make an operator key for `wallet serve`; it is shown only once.",
                    *("key:create", WRITE),
                    "the key is made, and cannot be shown again: `wallet key revoke {name}`, and make another",
                ),
                "list": Command("List the operator keys.", "key:list_"),
                "revoke": Command(
                    "Refuse an operator key from now on.",
                    *("key:revoke", WRITE, "the key is revoked: `wallet key list` shows it"),
                ),
            },
        ),
        "token": Command(
            "Issue a token with which a user may read their wallets and take money out of them.",
            *("key:token", WRITE, "the token is lost, and ends by itself: ask for another one"),
        ),
    },
    "This program": {
        "init": Command(
            "Make a ledger; it asks four questions. You need not: `register` makes one too.",
            *("init:init", None, "the ledger is made: `wallet` shows what is in it"),
            by_itself=MAKE,
        ),
        "help": Command("Explain a command or a topic, with examples.", "help:help_", None),
        "commands": Command("List the commands; with --json, describe every one as JSON.", "help:commands", None),
        "completion": Command(
            "Print what a shell needs to complete commands, wallets and users.", "completion:completion", None
        ),
        "config": Group(
            "See and change the settings of this machine, and where they come from.",
            {
                "path": Command("Print where the config file is.", "config:path", None),
                "show": Command("Print each setting and where it came from.", "config:show", None),
                "get": Command("Print one setting, as it is used here.", "config:get", None),
                "set": Command(
                    "Set a setting in the config file, or one of a ledger with a name: `ledgers.till.db`.",
                    *("config:set_", None, "the setting is set: `wallet config show` shows it"),
                ),
                "unset": Command(
                    "Take a setting out of the config file.",
                    *("config:unset", None, "the setting is taken out: `wallet config show` shows it"),
                ),
                "edit": Command(
                    "Open the config file in your editor.",
                    *("config:edit", None, "the editor has ended: `wallet config show` shows what is set"),
                ),
            },
        ),
        "demo": Command("Play the whole story on a scratch ledger, which is deleted afterwards.", "demo:demo", None),
    },
}
"""Commands and groups by what they are for, in the order in which help lists them."""

TREE: Mapping[str, Command | Group] = {name: what for section in SECTIONS.values() for name, what in section.items()}

OF_NO_LEDGER = ("help", "commands", "completion", "demo")
"""Commands that no ledger changes."""


def each() -> Iterator[tuple[str, Command]]:
    """Every command by the words that call it, as `tx add`."""
    for name, what in TREE.items():
        if isinstance(what, Group):
            yield from ((f"{name} {sub}", command) for sub, command in what.commands.items())
        else:
            yield name, what


def command_of(words: str) -> Command:
    """The command that these words call. Raises KeyError for what is none."""
    name, _, sub = words.partition(" ")
    what = TREE[name]
    return what.commands[sub] if isinstance(what, Group) else what

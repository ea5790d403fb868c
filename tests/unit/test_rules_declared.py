"""What each rule says of itself: which command it decides, what that touches, and which refusals it can give.

The tables of the other files are played again, all of them, for what they meet together.
"""

from __future__ import annotations

from typing import get_args

import pytest
from support import declared
from support.book import Book, play
from support.faults import Fault, put_in
from unit import (
    test_rules,
    test_rules_holds,
    test_rules_restoring,
    test_rules_reversals,
    test_rules_transfers,
    test_rules_wallets,
)

from wallet_cli.domain.commands import (
    EndRestore,
    RestoreEvent,
    RestoreState,
    SetLedger,
    Single,
)
from wallet_cli.domain.events import WALLET
from wallet_cli.domain.model import Event
from wallet_cli.domain.rules import RULES, execute, holds, postings, refusals_of, registry, restoring
from wallet_cli.errors import RestoreConflict

MODULES = (
    test_rules, test_rules_holds, test_rules_restoring, test_rules_reversals, test_rules_transfers, test_rules_wallets,
)  # fmt: skip


def play_all() -> None:
    """Play every table that stands in those files under a name."""
    for value in [value for module in MODULES for name, value in vars(module).items() if name.isupper()]:
        for table in value.values() if isinstance(value, dict) else [value]:
            if isinstance(table, str) and "→" in table:
                play(table)


def test_there_is_a_rule_for_each_command() -> None:
    assert set(RULES) == set(get_args(Single))


def test_each_refusal_that_is_declared_is_met_and_no_other() -> None:
    with declared.refusals() as met:
        play_all()
        # What no table says: the end of what is read back.
        book = play("wallet 1 active - 100")
        state = RestoreState(1, 1, bytes(32), "active", None, None, None)
        book.carry_out([state, state._replace(wallet_id=9)], 50)
        everything = book.load([EndRestore()], 50)
        everything.restoring, everything.fault = True, ("wallets", (1,))
        execute(everything, [EndRestore()], 50)
        book.carry_out([RestoreEvent(Event(WALLET, 9, 1, 0, None, "opened", "{}", bytes(32)))], 50)
    assert met == {(command, error) for command, rule in RULES.items() for error in rule.refusals}


def test_while_restoring_all_else_is_refused_as_declared() -> None:
    assert RestoreConflict in refusals_of(SetLedger)
    state = Book().load([], 7)
    state.restoring = True
    with declared.refusals() as met:
        execute(state, [SetLedger("currency", "INR")], 7)
    assert met == {(SetLedger, RestoreConflict)}


# What the rules are given is what they say that they touch. Where one says too little, a table tells.
UNSAID = {
    "the key of a credit": Fault(postings, "_post_touches", "if key is not None:", "if False:"),
    "whom a transfer goes to": Fault(postings, "_transfer_touches", "touched.wallet(command.target_id)", "pass"),
    "the credit of a transfer": Fault(postings, "_transfer_touches", "if command.key is not None:", "if False:"),
    "what is taken back": Fault(
        postings, "_reverse_touches", "touched.originals.append((command.wallet_id, command.seq))", "pass"
    ),
    "who has a number": Fault(registry, "_register_touches", "touched.phones.append(command.phone.e164)", "pass"),
    "who was registered with a key": Fault(registry, "_register_touches", "if command.key is not None:", "if False:"),
    "the owner of a wallet": Fault(registry, "_open_touches", "touched.users.append(command.user_id)", "pass"),
    "a wallet of the type": Fault(
        registry, "_open_touches", "touched.owned.append((command.user_id, command.type))", "pass"
    ),
    "a wallet opened with a key": Fault(registry, "_open_touches", "if command.key is not None:", "if False:"),
    "the next wallet": Fault(registry, "_open_touches", "touched.next_wallet = True", "True"),
    "the next user": Fault(registry, "_register_touches", "touched.next_user = True", "True"),
    "an operator": Fault(registry, "_use_touches", "touched.operators.append(command.name)", "pass"),
    "the last event of a wallet": Fault(
        registry, "_status_touches", "touched.events_of_wallet(command.wallet_id)", "pass"
    ),
    "the last event, for a hold": Fault(holds, "_place_touches", "touched.events_of_wallet(command.wallet_id)", "pass"),
    "what is forced": Fault(postings, "_reverse_touches", "if command.force:", "if False:"),
    "holds of later days": Fault(postings, "_post_touches", "not command.is_credit:", "False:"),
    "what stands in a place": Fault(
        restoring, "_transaction_touches", "touched.transactions.append((command.wallet_id, command.seq))", "pass"
    ),
}


@pytest.mark.parametrize("fault", UNSAID.values(), ids=UNSAID)
def test_what_a_rule_does_not_say_that_it_touches_is_missed(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    put_in(monkeypatch, fault)
    with pytest.raises((AssertionError, KeyError)):
        play_all()

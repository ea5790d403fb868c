"""What a connection remembers as prepared is there, whatever became of the batch that prepared it."""

from __future__ import annotations

import pytest
from servers.cluster import Cluster
from support import postgres

from wallet_cli import settings
from wallet_cli.domain.commands import Applied, OpenWallet, Post, Refusal
from wallet_cli.domain.model import Transaction
from wallet_cli.domain.money import parse_currency
from wallet_cli.errors import Collision
from wallet_cli.services import users
from wallet_cli.services.context import open_ledger

pytestmark = postgres.MARKS

ROWS = 10


def test_a_batch_that_collides_leaves_no_statement_that_is_not_there(cluster: Cluster) -> None:
    url = cluster.url(cluster.new_database())
    with open_ledger(settings.load({"db": url}), lambda _: None) as ledger:
        users.register(ledger, "9886977544")
        run, store = ledger.executor.run, ledger.store
        [made] = run([OpenWallet(1, "main", parse_currency("INR"), None)], "opening")
        assert isinstance(made, Applied)
        # One that ends with nothing written, when nothing is prepared yet.
        [refused] = run([Post(1, False, 1)], "refused")
        assert isinstance(refused, Refusal)
        [first] = run([Post(1, True, 1)], "first")
        assert isinstance(first, Applied)
        assert isinstance(first.made, Transaction)
        # One whose first row collides, so that the server skips those after it, and what prepares them: its amount is
        # no small number, and so it is another statement than theirs.
        store.begin()
        store.lock([1], 0, creating=False)
        with pytest.raises(Collision):
            store.write([first.made._replace(amount=10**12), *[first.made] * ROWS])
        store.rollback()
        assert {type(result) for result in run([Post(1, True, 1)] * ROWS, "after")} == {Applied}

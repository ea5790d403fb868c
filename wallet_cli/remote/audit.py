"""Proving a ledger, where it is."""

from __future__ import annotations

from wallet_cli.domain.address import TypedWallet
from wallet_cli.remote import RemoteLedger
from wallet_cli.services.answers import Answer

PATIENCE_S = 3600.0
"""How long a whole ledger may take to be worked out again."""


def verify(ledger: RemoteLedger, wallet: TypedWallet | None = None) -> Answer:
    named = None if wallet is None else wallet.text
    # What is wrong with a ledger is no better a moment later: a failure is not asked about again.
    checked: Answer = ledger.server.get(
        "/verify", wallet=named, region=ledger.region, patience_s=PATIENCE_S, again=False
    )
    return checked

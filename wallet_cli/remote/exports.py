"""The whole ledger as text, as a server sends it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from wallet_cli.domain.address import WalletRef
from wallet_cli.remote import RemoteLedger
from wallet_cli.remote.wallets import find_wallet

KINDS = ("application/x-ndjson", "text/csv", "text/plain")


def export(ledger: RemoteLedger, form: str = "jsonl", wallet: WalletRef | None = None) -> Iterator[str]:
    path = "/export"
    if wallet is not None:
        found = find_wallet(ledger, wallet)
        path = f"/export/{found.user_id}/{found.id}"
    decoder = codecs.getincrementaldecoder("utf-8")()
    with ledger.server.stream(path, KINDS, format=form) as chunks:
        for chunk in chunks:
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)

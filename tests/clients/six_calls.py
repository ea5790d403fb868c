"""The six calls of the original application, by a client that openapi-python-client made.

six_calls.py CLIENT_FOLDER SERVER_URL KEY
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

folder, url, key = sys.argv[1:]
sys.path.insert(0, folder)

from wallet_client import AuthenticatedClient  # noqa: E402
from wallet_client.api.transactions import (  # noqa: E402
    create_transaction,
    list_transactions,
    total_in_period,
)
from wallet_client.api.users import create_user  # noqa: E402
from wallet_client.api.wallets import create_wallet, get_wallet  # noqa: E402
from wallet_client.models import Failure, NewTransaction, NewUser, NewWallet, TotalQuery  # noqa: E402

client = AuthenticatedClient(base_url=url, token=key)

user = create_user.sync(client=client, body=NewUser(phone_number="9886977544")).data
assert user.phone_e164 == "+919886977544"

wallet = create_wallet.sync(client=client, body=NewWallet(user_id=user.id, type_="type1")).data
assert (wallet.user_id, wallet.status.value) == (user.id, "active")

body = NewTransaction(user_id=user.id, wallet_id=wallet.id, amount=20, is_credit=True)
made = create_transaction.sync(client=client, body=body, idempotency_key="python-1").data
assert (made.amount, made.is_credit) == ("20.00", True)
assert isinstance(made.at, datetime)
again = create_transaction.sync(client=client, body=body, idempotency_key="python-1").data
assert (again.id, again.replayed) == (made.id, True)

assert get_wallet.sync(user.id, "type1", client=client).data.balance == "20.00"

page = list_transactions.sync(user.id, wallet.id, client=client, limit=5, count=True).data
assert ([each.id for each in page.transactions], page.count, page.next_cursor) == ([made.id], 1, None)

now = datetime.now(UTC)
query = TotalQuery(
    user_id=user.id,
    wallet_id=wallet.id,
    start_date=(now - timedelta(hours=1)).isoformat(),
    end_date=(now + timedelta(hours=1)).isoformat(),
)
total = total_in_period.sync(client=client, body=query).data
assert (total.credit_total, total.debit_total, total.closing_balance) == ("20.00", "0.00", "20.00")

refused = get_wallet.sync(user.id, "none", client=client)
assert isinstance(refused, Failure)
assert refused.code == "wallet_not_found"
print("openapi-python-client: 6 calls, a replay and a refusal")

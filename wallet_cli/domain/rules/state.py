"""What a batch touches, as it stands when its turn comes, and how the rules move it on."""

from __future__ import annotations

from wallet_cli.domain import chain
from wallet_cli.domain.commands import Made
from wallet_cli.domain.model import EXPIRED, Hold, Operator, Policy, Transaction, User, Wallet
from wallet_cli.domain.period import day_start_us


class State:
    """Loaded by a store, moved on by `execute`.

    `users` by id and `phones` by E.164 hold the users that the batch names, `wallets` and `owned` (by user id and type)
    its wallets, `last` the last transaction of each, `keys` what already bears one of its keys, `holds` those that it
    names, `history` the transactions that it names by their place or makes, and `operators` by name those that it
    names. For wallets that ask for it, `lapsed` has the holds that are past their expiry and not yet noted as expired,
    and `day_debits` the total of debits before the day of their last transaction. `reversed` is how much of a
    transaction has been taken back. `made` is what the rules made and changed, in order, for the store to write.
    """

    def __init__(self, policy: Policy, next_user_id: int = 1, next_wallet_id: int = 1) -> None:
        self.policy = policy
        self.next_user_id = next_user_id
        self.next_wallet_id = next_wallet_id
        self.users: dict[int, User] = {}
        self.phones: dict[str, User] = {}
        self.wallets: dict[int, Wallet] = {}
        self.owned: dict[tuple[int, str], Wallet] = {}
        self.last: dict[int, Transaction] = {}
        self.keys: dict[tuple[int, str, bool], Transaction | Hold] = {}
        self.holds: dict[tuple[int, int], Hold] = {}
        self.lapsed: dict[int, tuple[Hold, ...]] = {}
        self.history: dict[tuple[int, int], Transaction] = {}
        self.reversed: dict[tuple[int, int], int] = {}
        self.day_debits: dict[int, int] = {}
        self.operators: dict[str, Operator] = {}
        self.made: list[Made] = []

    # What is there, for a store to load.

    def add_user(self, user: User) -> None:
        self.users[user.id] = user
        self.phones[user.phone_e164] = user

    def add_wallet(self, wallet: Wallet, last: Transaction) -> None:
        self.wallets[wallet.id] = wallet
        self.owned[wallet.user_id, wallet.type] = wallet
        self.last[wallet.id] = last

    def add_hold(self, hold: Hold) -> None:
        self.holds[hold.wallet_id, hold.number] = hold

    # What the rules make of it.

    def make_user(self, user: User) -> None:
        self.next_user_id = user.id + 1
        self.add_user(user)
        self.made.append(user)

    def make_wallet(self, wallet: Wallet) -> None:
        self.next_wallet_id = wallet.id + 1
        self.add_wallet(wallet, chain.unopened(wallet))
        self.day_debits[wallet.id] = 0
        self.made.append(wallet)

    def keep_wallet(self, wallet: Wallet) -> None:
        """Change a wallet."""
        self.add_wallet(wallet, self.last[wallet.id])
        self.made.append(wallet)

    def keep_hold(self, hold: Hold) -> None:
        """Make or change a hold."""
        self.add_hold(hold)
        if hold.key is not None:
            self.keys[hold.wallet_id, hold.key, False] = hold
        self.made.append(hold)

    def keep_operator(self, operator: Operator) -> None:
        self.operators[operator.name] = operator
        self.made.append(operator)

    def append(
        self,
        last: Transaction,
        is_credit: bool,
        amount: int,
        at_us: int,
        note: str | None,
        key: str | None,
        meta: str | None = None,
        peer_wallet_id: int | None = None,
        peer_seq: int | None = None,
        reverses: int | None = None,
        hold: int | None = None,
        forced: bool = False,
        user_key: bool = False,
    ) -> Transaction:
        """Add the transaction that follows `last`, the last one of its wallet; it has been checked."""
        wallet_id, seq = last.wallet_id, last.seq + 1
        credit_total, debit_total, credit_count = last.credit_total, last.debit_total, last.credit_count
        if is_credit:
            credit_total += amount
            credit_count += 1
        else:
            debit_total += amount
        more = ""
        if (
            meta is not None
            or peer_wallet_id is not None
            or reverses is not None
            or hold is not None
            or forced
            or user_key
        ):
            more = chain.extras(meta, peer_wallet_id, peer_seq, reverses, hold, forced, user_key)
        hash_ = chain.link(
            last.hash, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key, more
        )
        transaction = Transaction(
            wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, note, key, hash_,
            meta, peer_wallet_id, peer_seq, reverses, hold, forced, user_key,
        )  # fmt: skip
        if wallet_id in self.day_debits and day_start_us(at_us) != day_start_us(last.at_us):
            self.day_debits[wallet_id] = last.debit_total
        self.last[wallet_id] = transaction
        self.history[wallet_id, seq] = transaction
        if reverses is not None:
            self.reversed[wallet_id, reverses] = self.reversed.get((wallet_id, reverses), 0) + amount
        if key is not None:
            self.keys[wallet_id, key, user_key] = transaction
        self.made.append(transaction)
        if wallet_id in self.lapsed:
            self.free_lapsed(wallet_id)
        return transaction

    def time_in(self, wallet_id: int, now_us: int) -> int:
        """What time it is in a wallet: that of its last transaction, where the writer's clock is behind it."""
        return max(now_us, self.last[wallet_id].at_us)

    # Holds that have lapsed.

    def held(self, wallet: Wallet) -> int:
        """What a wallet's holds keep now: those that have lapsed keep nothing, whoever has or has not noted it."""
        if wallet.id not in self.lapsed:
            return wallet.held
        return wallet.held - sum(hold.kept for hold in self.lapsed[wallet.id])

    def free_lapsed(self, wallet_id: int) -> None:
        """Note, with a write that is made anyway, which holds have lapsed."""
        lapsed = self.lapsed.pop(wallet_id, ())
        for hold in lapsed:
            self.keep_hold(hold._replace(status=EXPIRED, ended_at_us=hold.expires_at_us))
        if lapsed:
            wallet = self.wallets[wallet_id]
            self.keep_wallet(wallet._replace(held=wallet.held - sum(hold.kept for hold in lapsed)))

    # All or nothing.

    def copy(self) -> State:
        """A state that moves on by itself; what it holds is immutable."""
        made = State(self.policy)
        made.restore(self)
        return made

    def restore(self, other: State) -> None:
        """Become what `other` is."""
        for name, value in vars(other).items():
            setattr(self, name, value.copy() if isinstance(value, dict | list) else value)

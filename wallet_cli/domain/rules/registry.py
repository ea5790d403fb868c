"""Users, their wallets with status and limits, and operators."""

from __future__ import annotations

from wallet_cli.domain import events
from wallet_cli.domain.commands import (
    SAME,
    AddApiKey,
    Applied,
    NoteUse,
    OpenWallet,
    Refusal,
    Register,
    Replayed,
    RevokeApiKey,
    SetLedger,
    SetLimits,
    SetStatus,
)
from wallet_cli.domain.model import ACTIVE, CLOSED, FROZEN, ApiKey, LedgerSetting, User, Wallet
from wallet_cli.domain.money import format_minor
from wallet_cli.domain.period import format_time
from wallet_cli.domain.rules import refusals
from wallet_cli.domain.rules.clocks import clock_refused
from wallet_cli.domain.rules.restoring import WHERE, conflict, incomplete, may_restore
from wallet_cli.domain.rules.rule import Rule, Touched
from wallet_cli.domain.rules.state import State
from wallet_cli.errors import (
    InvalidInput,
    KeyExists,
    KeyNotFound,
    KeyReused,
    RestoreConflict,
    StorageError,
    UserExists,
    UserNotFound,
    WalletError,
    WalletExists,
    WalletNotActive,
    WalletNotEmpty,
    WalletNotFound,
)


def register(state: State, command: Register, now_us: int) -> Applied | Replayed | Refusal:
    phone, name, created_at_us, id_, key = command
    user = User(
        state.next_user_id if id_ is None else id_,
        phone.typed,
        phone.e164,
        phone.region,
        phone.national,
        name,
        now_us if created_at_us is None else created_at_us,
        key,
    )
    known, prior = state.phones.get(phone.e164), None if key is None else state.user_keys.get(key)
    there = known or prior
    if id_ is not None and there is not None:  # a row of an export
        return Replayed(there) if there == user else Refusal(conflict(f"user {there.id} exists, with other contents"))
    if prior is not None:
        same = (user.phone_e164, user.name) == (prior.phone_e164, prior.name)
        return Replayed(prior) if same else Refusal(refusals.key_used_for(f"the registration of user {prior.id}"))
    if known is not None:
        return Refusal(
            UserExists(
                f"{phone.e164} is registered already, as user {known.id}",
                hint="--exist-ok accepts the existing user",
                user_id=known.id,
            )
        )
    wrong = _place_refused(state, "user", id_, state.next_user_id)
    if id_ is None:
        wrong = wrong or clock_refused(state, now_us) or _later_than_now(user.created_at_us, now_us)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the user is certain.
    state.make_user(user)
    if id_ is None:  # an export has its events too
        state.record((events.USER, user.id), "registered", {"user": events.of_user(user)})
    return Applied(user)


def _later_than_now(created_at_us: int, now_us: int) -> InvalidInput | None:
    if created_at_us <= now_us:
        return None
    return InvalidInput(f"{format_time(created_at_us)} is in the future", hint="created_at takes a time in the past")


def open_wallet(state: State, command: OpenWallet, now_us: int) -> Applied | Replayed | Refusal:
    user_id, type_, currency, own_minimum, created_at_us, id_, key, currency_given = command
    if user_id not in state.users:
        return Refusal(UserNotFound(f"there is no user {user_id}", hint="add the user: wallet register PHONE"))
    known, prior = state.owned.get((user_id, type_)), None if key is None else state.wallet_keys.get((user_id, key))
    there = known or prior
    if id_ is not None and there is not None:  # a row of an export, which has nothing that changes later
        now = (there.id, there.type, there.currency, there.opening_minimum, there.created_at_us, there.key)
        if now == (id_, type_, currency, own_minimum, created_at_us, key):
            return Replayed(there, state.last[there.id])
        return Refusal(conflict("wallet ", there.mention, " exists, with other contents"))
    if prior is not None:
        # Compare with the first request; a currency setting or a limit that was changed since does not count.
        same = (prior.type, prior.opening_minimum) == (type_, own_minimum)
        if same and (prior.currency == currency or not currency_given):
            return Replayed(_as_opened(prior))
        return Refusal(refusals.key_used_for("wallet ", prior.mention))
    if known is not None:
        return Refusal(
            WalletExists(
                (
                    "there is a wallet ",
                    known.mention,
                    f" already, in {known.currency.name}",
                    "" if known.status == ACTIVE else f"; it is {known.status}",
                ),
                hint="a closed wallet stays closed: open one of another type"
                if known.status == CLOSED
                else "--exist-ok accepts an existing wallet in the same currency",
            )
        )
    wallet = Wallet(
        state.next_wallet_id if id_ is None else id_,
        user_id,
        type_,
        currency,
        ACTIVE,
        own_minimum,
        now_us if created_at_us is None else created_at_us,
        key=key,
        opening_minimum=own_minimum,
    )
    wrong = _place_refused(state, "wallet", id_, state.next_wallet_id)
    if created_at_us is None:
        wrong = wrong or clock_refused(state, now_us)
    if wrong is not None:
        return Refusal(wrong)
    # After this point the wallet is certain.
    state.make_wallet(wallet)
    if id_ is None:
        _record(state, wallet, "opened")
    return Applied(wallet)


def set_status(state: State, command: SetStatus, now_us: int) -> Applied | Refusal:
    """Freeze, unfreeze or close. A status that is set already stays; a closed wallet stays closed."""
    wallet_id, status = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    if wallet.status == status:
        return _changed(state, wallet)
    if wallet.status == CLOSED:
        return Refusal(refusals.not_active(wallet))
    if status == CLOSED:
        balance, held = state.last[wallet_id].balance, state.held(wallet)
        if balance or held:
            return Refusal(refusals.not_empty(wallet, balance, held, has_minimum=state.policy.minimum_of(wallet) > 0))
    doubt = clock_refused(state, now_us)
    if doubt is not None:
        return Refusal(doubt)
    # After this point the change is certain.
    state.free_expired(wallet_id)
    changed = state.wallets[wallet_id]._replace(status=status)
    state.keep_wallet(changed)
    _record(state, changed, STATUS_SET[status])
    return _changed(state, changed)


def set_limits(state: State, command: SetLimits, now_us: int) -> Applied | Refusal:
    """Change limits. A balance that is over a new limit already stays as it is."""
    wallet_id, own_minimum, maximum, daily_debit = command
    wallet = state.wallets.get(wallet_id)
    if wallet is None:
        return Refusal(refusals.no_wallet(wallet_id))
    if wallet.status == CLOSED:
        return Refusal(refusals.not_active(wallet))
    changed = wallet._replace(
        own_minimum=wallet.own_minimum if own_minimum is SAME else own_minimum,
        maximum=wallet.maximum if maximum is SAME else maximum,
        daily_debit=wallet.daily_debit if daily_debit is SAME else daily_debit,
    )
    minimum = state.policy.minimum_of(changed)
    if changed.maximum is not None and changed.maximum < minimum:
        return Refusal(
            InvalidInput(
                f"the maximum balance, {format_minor(changed.maximum, wallet.currency)}, is below the minimum,"
                f" {format_minor(minimum, wallet.currency)}",
                hint="give both, the smaller one as --minimum-balance",
            )
        )
    doubt = clock_refused(state, now_us) if changed != wallet else None
    if doubt is not None:
        return Refusal(doubt)
    # After this point the change is certain.
    if changed != wallet:
        state.keep_wallet(changed)
        _record(state, changed, "limits set")
    return _changed(state, changed)


def admit(state: State, command: AddApiKey, now_us: int) -> Applied | Refusal:
    if command.name in state.operators:
        return Refusal(KeyExists(f"there is already a key with the name {command.name}", hint="choose another name"))
    wrong = clock_refused(state, now_us)
    if wrong is not None:
        return Refusal(wrong)
    return _keep(state, ApiKey(command.name, command.key_hash, command.read_only, now_us, None, None), "key made")


def revoke(state: State, command: RevokeApiKey, now_us: int) -> Applied | Refusal:
    known = state.operators.get(command.name)
    if known is None:
        return Refusal(_no_key(command.name))
    if known.revoked_at_us is not None:
        return _keep(state, known)
    wrong = clock_refused(state, now_us)
    if wrong is not None:
        return Refusal(wrong)
    return _keep(state, known._replace(revoked_at_us=now_us), "key revoked")


def note_use(state: State, command: NoteUse, now_us: int) -> Applied | Refusal:
    known = state.operators.get(command.name)
    if known is None:
        return Refusal(_no_key(command.name))
    return _keep(state, known._replace(last_used_at_us=now_us))


def set_ledger(state: State, command: SetLedger, now_us: int) -> Applied:  # noqa: ARG001
    """Earlier transactions stay as they are: a new time zone or minimum decides only later ones."""
    setting = LedgerSetting(*command)
    state.changes.append(setting)
    facts = state.facts._replace(**{setting.name: setting.value})
    if facts != state.facts:
        state.facts = facts
        state.record(events.OF_LEDGER, "settings set", {"ledger": events.of_settings(facts)})
    return Applied(facts)


STATUS_SET = {ACTIVE: "unfrozen", FROZEN: "frozen", CLOSED: "closed"}
"""What it is called to set a status."""


def _record(state: State, wallet: Wallet, what: str) -> None:
    state.record((events.WALLET, wallet.id), what, {"wallet": events.of_wallet(wallet)})


def _keep(state: State, operator: ApiKey, what: str | None = None) -> Applied:
    """Write an operator key; `what` was done to it, unless only its use is noted."""
    state.keep_operator(operator)
    if what is not None:
        state.record(events.OF_LEDGER, what, {"key": events.of_key(operator)})
    return Applied(operator)


def _no_key(name: str) -> KeyNotFound:
    return KeyNotFound(f"there is no key with the name {name}", hint="list the keys: wallet key list")


def _changed(state: State, wallet: Wallet) -> Applied:
    """A wallet as it is now, with its last transaction."""
    return Applied(wallet._replace(held=state.held(wallet)), state.last[wallet.id])


def _as_opened(wallet: Wallet) -> Wallet:
    return wallet._replace(
        status=ACTIVE, own_minimum=wallet.opening_minimum, maximum=None, daily_debit=None, held=0, hold_count=0
    )


def _place_refused(state: State, what: str, id_: int | None, next_id: int) -> WalletError | None:
    """Why a user or a wallet may not be added with this id; `id_` is given only when restoring."""
    if id_ is None:
        return incomplete() if state.restoring else None
    if id_ != next_id:
        return _out_of_place(what, id_, next_id)
    return may_restore(state)


def _out_of_place(what: str, id_: int, next_id: int) -> RestoreConflict:
    return RestoreConflict(
        f"the export has the {what} {id_}, but the next id here is {next_id}",
        hint=WHERE,
        expected=next_id,
    )


def _register_touches(command: Register, touched: Touched) -> None:
    touched.creating = touched.next_user = True
    touched.phones.append(command.phone.e164)
    if command.key is not None:
        touched.user_keys.append(command.key)


def _open_touches(command: OpenWallet, touched: Touched) -> None:
    touched.creating = touched.next_wallet = True
    touched.users.append(command.user_id)
    touched.owned.append((command.user_id, command.type))
    if command.key is not None:
        touched.wallet_keys.append((command.user_id, command.key))


def _status_touches(command: SetStatus, touched: Touched) -> None:
    touched.wallet(command.wallet_id)
    touched.events_of_wallet(command.wallet_id)


def _limits_touches(command: SetLimits, touched: Touched) -> None:
    touched.wallet(command.wallet_id)
    touched.events_of_wallet(command.wallet_id)
    touched.days.append(command.wallet_id)


def _use_touches(command: AddApiKey | RevokeApiKey | NoteUse, touched: Touched) -> None:
    touched.creating = True
    touched.operators.append(command.name)


def _operator_touches(command: AddApiKey | RevokeApiKey, touched: Touched) -> None:
    _use_touches(command, touched)
    touched.recorded.add(events.OF_LEDGER)


def _setting_touches(command: SetLedger, touched: Touched) -> None:  # noqa: ARG001
    touched.creating = True
    touched.recorded.add(events.OF_LEDGER)


RULES = (
    Rule(
        Register, register, _register_touches,
        (InvalidInput, KeyReused, UserExists, RestoreConflict, StorageError),
        while_restoring=True,
    ),
    Rule(
        OpenWallet, open_wallet, _open_touches,
        (UserNotFound, KeyReused, WalletExists, RestoreConflict, StorageError), while_restoring=True,
    ),
    Rule(
        SetStatus, set_status, _status_touches, (WalletNotFound, WalletNotActive, WalletNotEmpty, StorageError),
    ),
    Rule(SetLimits, set_limits, _limits_touches, (WalletNotFound, WalletNotActive, InvalidInput, StorageError)),
    Rule(AddApiKey, admit, _operator_touches, (KeyExists, StorageError), while_restoring=True),
    Rule(RevokeApiKey, revoke, _operator_touches, (KeyNotFound, StorageError), while_restoring=True),
    Rule(NoteUse, note_use, _use_touches, (KeyNotFound,), while_restoring=True),
    Rule(SetLedger, set_ledger, _setting_touches, ()),
)  # fmt: skip

"""What people type in the place of what programs write: a name for a number, no wallet at all, `1,000` for 1000.

What a command reads may be meant so anywhere. What it changes may not be another person's than the one meant: there,
nothing but a number counts, unless somebody is at the terminal, is shown who was found, and agrees.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from wallet_cli.cli.output import fitted, notice, tell
from wallet_cli.domain.ids import (
    DEFAULT_TYPE,
    HoldId,
    TransactionId,
    TypedWallet,
    UserId,
    UserName,
    WalletId,
    WalletName,
    format_user,
    parse_new_wallet,
    parse_transaction_id,
    parse_type,
    parse_user,
    parse_wallet,
    unspaced,
)
from wallet_cli.domain.money import (
    Currency,
    format_minor,
    parse_amount,
    parse_balance,
    parse_currency,
    parse_name,
    parse_stored,
    parse_told,
)
from wallet_cli.errors import Interrupted, InvalidInput, WalletError, WalletNotFound, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from wallet_cli.api import LedgerApi
    from wallet_cli.cli.screen.money import Money
    from wallet_cli.operations.answers import Answer

NO_INPUT = "no_input"
"""The root option --no-input, among the flags."""

MOST_NAMED = 10
"""How many users of one name are told."""


def can_ask(flags: Mapping[str, str]) -> bool:
    """Whether somebody is at the terminal who can be asked."""
    return NO_INPUT not in flags and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """What somebody answers to a question; it is asked on stderr.

    Raises InvalidInput where nothing comes any more, and Interrupted at Ctrl-C. Nothing may have been done before.
    """
    sys.stderr.write(f"{fitted(question)} ")
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise Interrupted("interrupted, so nothing was done") from None
    except UnicodeDecodeError:
        raise InvalidInput("the answer is not text that can be read, so nothing was done") from None
    if not line:
        sys.stderr.write("\n")
        raise InvalidInput("nothing was answered, so nothing was done")
    return line.strip()


def be_sure(question: str) -> None:
    """Go on where somebody says yes. Raises InvalidInput where they do not."""
    if ask(f"{question} [y/N]").lower() not in ("y", "yes"):
        raise InvalidInput("not confirmed, so nothing was done")


class Hand:
    """Reads what one command line names, as it was typed."""

    def __init__(self, ledger: LedgerApi, flags: Mapping[str, str], command: str) -> None:
        self._ledger = ledger
        self._flags = flags
        self._command = command
        self._to_agree: list[str] = []
        """Who was found, where it has to be agreed to: a line each."""

    def wallet(self, text: str | None) -> TypedWallet:
        """The wallet that a command reads: by number or name, or where none is named, that of `wallet use`."""
        if text is None:
            used = self._used()
            notice(f"wallet {used.text}, by `wallet use`")
            return used
        try:
            return parse_wallet(text)
        except InvalidInput as error:
            return self._of_name(text, error, self._named)[0]

    def user(self, text: str) -> UserName:
        """The user that a command reads."""
        try:
            return parse_user(text)
        except InvalidInput as error:
            return UserId(self._named(text, error)["id"])

    def wallet_or_user(self, text: str | None) -> tuple[TypedWallet | None, UserName | None]:
        """The wallet or the user that a command reads: `USER/TYPE` and `wN` are a wallet. Neither where none is
        named.
        """
        if text is None:
            return None, None
        text = unspaced(text)
        is_wallet = "/" in text or (text[:1] in ("w", "W") and text[1:].isdecimal())
        return (self.wallet(text), None) if is_wallet else (None, self.user(text))

    def wallet_to_change(self, text: str | None) -> TypedWallet:
        """The wallet that a command changes; `agree` has to be called before it does."""
        if text is None:
            if not can_ask(self._flags):
                raise self._missing(": give a WALLET and an AMOUNT", "a script has to name the wallet")
            ref = self._used(": give a WALLET and an AMOUNT")
            self._to_agree.append(f"wallet use: {self.about(ref)}")
            return ref
        try:
            return parse_wallet(text)
        except InvalidInput as error:
            ref, _ = self._of_name(text, error, self._named_to_change)
            self._to_agree.append(f"{shown(text)} means {self.about(ref)}")
            return ref

    def must_be_amount(self, text: str) -> None:
        """Raises InvalidInput if a user has the number that was given for the amount: the amount was left out."""
        try:
            number = parse_user(text)
            if isinstance(number, UserId):
                return
            user = self._ledger.user(number)
        except WalletError:
            return
        raise InvalidInput(
            f"{shown(text)} is not an amount, but the number of {_described(user)}",
            hint=f"{self._command} {typed(text, 'WALLET')} AMOUNT",
        )

    def new_wallet(self, text: str) -> WalletName:
        """The wallet that is to be opened; `agree` has to be called before it is."""
        try:
            return parse_new_wallet(text)
        except InvalidInput as error:
            ref, user = self._of_name(text, error, self._named_to_change)
            self._to_agree.append(f"{shown(text)} means type {ref.type} of {_described(user)}")
            return ref

    def user_to_change(self, text: str) -> UserName:
        """The user for whom a command does something; `agree` has to be called before it does."""
        try:
            return parse_user(text)
        except InvalidInput as error:
            user = self._named_to_change(text, error)
            self._to_agree.append(f"{shown(text)} means {_described(user)}")
            return UserId(user["id"])

    def amount(self, text: str, ref: TypedWallet) -> str:
        """An amount for a wallet, which may be typed as people do: as an AMOUNT."""
        return self._amount(text, lambda: [_unit_of(self._ledger.balance(ref))])

    def part(self, text: str, id_: TransactionId | HoldId) -> str:
        """The same, a part of what has this id. Where not even its wallet is there, the ledger says so of the id."""
        try:
            return self.amount(text, WalletId(id_.wallet_id))
        except WalletNotFound:
            return text

    def written(self, amount: str, ref: TypedWallet) -> str:
        """An amount for a wallet, as `amount` returns it, for a question: `₹1,000.00`."""
        unit = _unit_of(self._ledger.balance(ref))
        return _money(format_minor(parse_amount(amount, unit), unit), unit.name)

    def minimum(self, text: str, currency: str | None) -> str:
        """The same, a minimum for a wallet that is to be opened in this currency; None for the usual one."""
        return self._amount(
            text, lambda: [self._usual_unit() if currency is None else parse_name(currency) or parse_currency(currency)]
        )

    def amount_anywhere(self, text: str) -> str:
        """The same, to compare with amounts of all wallets: it has to mean one thing in each of their currencies."""
        return self._amount(text, lambda: [*map(_unit_of, self._ledger.overview()["currencies"])])

    def _amount(self, text: str, currencies: Callable[[], Sequence[Currency]]) -> str:
        if text.isascii() and text.isdigit():
            return text
        from wallet_cli.domain.typed_amount import is_plain, to_amount

        by_hand = can_ask(self._flags)
        if is_plain(text) and not by_hand:
            return text
        units = currencies() or [self._usual_unit()]
        try:
            found = {
                to_amount(text, unit, by_hand=by_hand, own_sign=partial(_own_sign, unit), own_comma=_own_comma)
                for unit in units
            }
        except InvalidInput:
            if len(units) == 1:
                raise
            found = set()
        if len(found) != 1:
            raise InvalidInput(
                f"the wallets have several currencies, and this amount is not clear in all of them: {shown(text)}",
                hint="write digits, and a point before a fraction: 1000 or 19.99",
            )
        return found.pop()

    def _usual_unit(self) -> Currency:
        """The currency of a wallet that is opened without saying which."""
        from wallet_cli import settings

        chosen = settings.load(self._flags).given("currency") or self._ledger.facts()["currency"]
        return parse_stored(chosen or settings.BY_NAME["currency"].default)

    def agree(self, doing: str, amount: str | None = None, ref: TypedWallet | None = None, whose: str = "") -> None:
        """Show who was found, where that was not by a number, and go on where somebody agrees.

        `doing` is what will be done, such as `credit`, with `amount` of the wallet `ref`; `whose` comes last. Raises
        InvalidInput where nobody agrees.
        """
        if not self._to_agree:
            return
        for line in self._to_agree:
            tell(line)
        if amount is not None and ref is not None:
            doing += f" {self.written(amount, ref)}"
        be_sure(f"{doing[0].upper()}{doing[1:]}{whose}?")

    def be_sure(self, question: str) -> None:
        """Before what cannot be undone: go on where somebody says yes, or nobody can be asked. Raises InvalidInput."""
        if can_ask(self._flags):
            be_sure(question)

    def show(self, ref: TypedWallet) -> None:
        """Have a wallet shown, and agreed to, though it was named by a number; where somebody can be asked."""
        if not self._to_agree and can_ask(self._flags):
            self._to_agree.append(self.about(ref))

    def show_reversal(self, id_: TransactionId, amount: str | None) -> str | None:
        """Have what is to be taken back shown, and agreed to; where somebody can be asked.

        Returns the amount: with none, all that is left now, so that no more or less is taken back than was shown. Where
        nothing is left, there is nothing to agree to, and the ledger says so.
        """
        if not can_ask(self._flags):
            return amount
        found = self._ledger.transaction(id_)
        unit = _unit_of(found)
        whole, gone = (parse_balance(found[name], unit) for name in ("amount", "reversed"))
        if gone == whole:
            return amount
        from wallet_cli.cli.screen.told import Told

        left = format_minor(whole - gone, unit)
        kind = "transfer" if "transfer" in found else "credit" if found["is_credit"] else "debit"
        note = "" if found["note"] is None else f", {shown(found['note'])}"
        rest = f"; {_money(left, unit.name)} of it is left" if gone else ""
        day = Told(self._ledger).day(found["at"])
        self._to_agree.append(f"{found['id']}: {kind} of {_money(found['amount'], unit.name)}, {day}{note}{rest}")
        legs = [(id_.wallet_id, found["is_credit"])]
        if "transfer" in found:
            legs.append((parse_transaction_id(found["transfer"]).wallet_id, not found["is_credit"]))
        for wallet_id, is_credit in legs:
            self._to_agree.append(f"{'out of' if is_credit else 'into'} {self.about(WalletId(wallet_id))}")
        return left if amount is None else amount

    def about(self, ref: TypedWallet) -> str:
        """A wallet, and whose it is, in a line."""
        wallet = self._ledger.balance(ref)
        user = self._ledger.user(UserId(wallet["user_id"]))
        return f"wallet {wallet['wallet']}, with {_money(wallet['balance'], wallet['currency'])}, of {_described(user)}"

    def _of_name(
        self, text: str, error: InvalidInput, find: Callable[[str, InvalidInput], Answer]
    ) -> tuple[WalletName, Answer]:
        """The wallet that `NAME` or `NAME/TYPE` is, and the user whose name it is."""
        name, slash, type_ = unspaced(text).partition("/")
        user = find(name, error)
        return WalletName(UserId(user["id"]), parse_type(type_) if slash else DEFAULT_TYPE), user

    def _named(self, name: str, error: InvalidInput) -> Answer:
        """The one user of that name. Raises `error` where it can be none, InvalidInput where it is not one's."""
        from wallet_cli.domain.names import may_be_name

        if not may_be_name(name):
            raise error
        answer = self._ledger.named(name)
        users: list[Answer] = answer["users"]
        if not users:
            raise InvalidInput(
                f"nobody has the name {shown(name)}, and it is not a number",
                hint=who_is_meant(answer["similar"]) or "wallet find TEXT looks in names, numbers and notes",
            )
        if len(users) > 1:
            told = "; ".join(map(_described, users[:MOST_NAMED])) + ("; …" if len(users) > MOST_NAMED else "")
            raise InvalidInput(
                f"the name {shown(name)} is not one person's: {told}",
                hint="give the number or the id of the one you mean",
                users=[{name: user[name] for name in ("id", "phone_e164", "name")} for user in users[:MOST_NAMED]],
            )
        return users[0]

    def _named_to_change(self, name: str, error: InvalidInput) -> Answer:
        from wallet_cli.domain.names import may_be_name

        if not may_be_name(name):
            raise error
        if not can_ask(self._flags):
            raise InvalidInput(
                error.message,
                hint=f"give the number or the id: wallet find {typed(name, 'NAME')};"
                " a name is taken only on a terminal",
            )
        return self._named(name, error)

    def _used(self, missing: str = " 'WALLET'") -> TypedWallet:
        """The wallet of `wallet use`. Raises InvalidInput where there is none."""
        from wallet_cli.cli.used_wallet import used_in

        used = used_in(self._ledger)
        if used is None:
            raise self._missing(missing, "`wallet use WALLET` names a wallet for later")
        return used

    def _missing(self, what: str, more: str) -> InvalidInput:
        return InvalidInput(f"Missing argument{what}", hint=f"{self._command} --help; {more}")


def who_is_meant(users: Sequence[Answer]) -> str | None:
    """A question that names users; None where there are none."""
    told = " or ".join(f"{_name_of(user)} ({format_user(user['id'])})" for user in users)
    return f"did you mean {told}?" if told else None


def typed(text: str, else_: str) -> str:
    """A text as it is typed in a shell; `else_` in the place of one that cannot be shown as it is."""
    import shlex

    return shlex.quote(text) if text.isprintable() else else_


def _unit_of(wallet: Answer) -> Currency:
    return parse_told(wallet["currency"], wallet["balance"])


def _money(amount: str, currency: str) -> str:
    return str(_own_money().amount(amount, currency))


def _own_sign(unit: Currency) -> str:
    return _own_money().sign(unit.name)


def _own_comma() -> bool:
    return _own_money().decimal_sign == ","


def _own_money() -> Money:
    """Writes amounts as they are written where the person at the terminal lives; imported then alone."""
    from wallet_cli.cli.screen.money import Money

    return Money(sys.stderr.encoding)


def _described(user: Answer) -> str:
    """A user; what they call themselves comes last, as it may be anything."""
    return f"user {format_user(user['id'])}, {user['phone_e164']}, {_name_of(user)}"


def _name_of(user: Answer) -> str:
    return shown(user["name"]) if user["name"] is not None else "no name"

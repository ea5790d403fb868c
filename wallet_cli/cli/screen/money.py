"""Amounts as they are written where somebody lives: by Babel, which knows 900 locales.

Amounts come as text with exactly the digits that their wallet's currency has, and keep them, whatever the locale's
tables say of that currency. Nothing is worked out, so nothing is rounded.
"""

from __future__ import annotations

import copy
import importlib
import os
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from wallet_cli.domain.text import harmless

LOCALE_VARIABLES = ("LC_ALL", "LC_MONETARY", "LANG")
USUAL_LOCALE = "en"
"""Where none is set, or one that is nobody's: C, POSIX."""

DIRECTION_MARKS = str.maketrans("", "", "\u061c\u200e\u200f")


class Amount(NamedTuple):
    """An amount as it is written, parted before its decimal sign, so that a column can be aligned there."""

    whole: str
    rest: str = ""

    def __str__(self) -> str:
        return self.whole + self.rest


class Money:
    """Writes amounts for a locale, in what an encoding has."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._locale = _locale(_name_of_locale())

    def amount(self, text: str, currency: str, sign: str = "") -> Amount:
        """Decimal text (`-1234.50`) of a currency (`INR`, `PTS/0`) as `-₹1,234.50`; `sign` is for one without.

        The locale's sign of the currency, or where it has none, the code behind the number.
        """
        sign, size = ("-", text[1:]) if text.startswith("-") else (sign, text)
        unit = harmless(currency.partition("/")[0])
        written = _written(self._locale, size, unit)
        if not self._can_say(str(written)):
            written = _with_code(_locale(USUAL_LOCALE), size, unit)
        return written._replace(whole=sign + written.whole)

    def sign(self, currency: str) -> str:
        """The sign of a currency, beside an amount: `₹`."""
        unit = harmless(currency.partition("/")[0])
        return _in_plain_spaces(self._locale.currency_symbols.get(unit, unit))

    @property
    def decimal_sign(self) -> str:
        from babel.numbers import get_decimal_symbol

        return str(get_decimal_symbol(self._locale))

    def count(self, number: int) -> str:
        """A whole number, grouped."""
        text = str(_number(self._locale, str(number)))
        return text if self._can_say(text) else str(_number(_locale(USUAL_LOCALE), str(number)))

    def _can_say(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True


def _name_of_locale() -> str:
    chosen = next((os.environ[name] for name in LOCALE_VARIABLES if os.environ.get(name)), USUAL_LOCALE)
    return chosen.partition(".")[0].partition("@")[0]


def _load_zone() -> None:
    """Let Babel find the machine's time zone, which its data of a locale needs and this program does not.

    It raises for a TZ, or a /etc/localtime, that is none: so it is told one.
    """
    chosen = os.environ.get("TZ")
    os.environ["TZ"] = "Etc/UTC"
    try:
        importlib.import_module("babel.localtime")
    finally:
        if chosen is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = chosen


@lru_cache(maxsize=4)
def _locale(name: str) -> Any:
    from babel.core import Locale, UnknownLocaleError

    _load_zone()

    if name in ("C", "POSIX"):
        return Locale.parse(USUAL_LOCALE)
    for each in (name, name.partition("_")[0], USUAL_LOCALE):
        try:
            found = Locale.parse(each)
        except (UnknownLocaleError, ValueError):
            continue
        # Apostrophes quote in a pattern, so Babel takes out two that group digits, as in Switzerland; not if doubled.
        symbols = found.number_symbols.get("latn", {})
        if symbols.get("group") == "'":
            symbols["group"] = "''"
        return found
    raise AssertionError("Babel has English")


def _written(locale: Any, text: str, unit: str) -> Amount:
    symbol = locale.currency_symbols.get(unit, unit)
    if symbol == unit:
        return _with_code(locale, text, unit)
    return _applied(locale.currency_formats["standard"], locale, text, unit)


def _with_code(locale: Any, text: str, unit: str) -> Amount:
    number = _number(locale, text)
    return number._replace(rest=f"{number.rest} {unit}")


def _number(locale: Any, text: str) -> Amount:
    return _applied(locale.decimal_formats[None], locale, text, None)


def _applied(pattern: Any, locale: Any, text: str, unit: str | None) -> Amount:
    own = copy.copy(pattern)
    digits = len(text.partition(".")[2])
    own.frac_prec = (digits, digits)
    written: str = own.apply(Decimal(text), locale, currency=unit, currency_digits=False)
    written = _in_plain_spaces(written)
    # No sign of a currency has a digit in it, and each decimal sign is one character.
    last = max(at for at, c in enumerate(written) if c.isdigit())
    end = last - digits if digits else last + 1
    return Amount(written[:end], written[end:])


def _in_plain_spaces(text: str) -> str:
    return text.translate(DIRECTION_MARKS).replace("\u00a0", " ")

"""Amounts of money as bills write them: ``$1,234.56``, ``1.234,56``, ``(12.30)``, ``-0,05``.

The decimal mark is told apart by the amounts themselves and stays what it is for the whole document. Where it can not be told
("1,234"), the amount is refused and the caller asked: a guess would be wrong by a factor of a thousand.
"""

import re
from decimal import Decimal, InvalidOperation

from metering.domain.reconciliation.invoices import InvoiceError
from pricing.money import NANO_PER_USD, divide_half_away

NANO_PER_CENT = 10_000_000
_MAX_NANO = 2**62
_NANO_DECIMALS = 9

_FOREIGN = re.compile(r"[€£¥₹]|\b(EUR|GBP|JPY|CNY|INR|CHF|CAD|AUD)\b", re.IGNORECASE)
_DECORATION = re.compile(r"US\$|\$|\bUSD\b|[\s\u00a0\u202f'_]", re.IGNORECASE)
_PLAIN = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,2})?|\.\d+", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,19}(\.0+)?", re.ASCII)
_GROUPED = {mark: re.compile(rf"\d{{1,3}}(\{mark}\d{{3}})+(?!\d)", re.ASCII) for mark in ",."}


class AmountReader:
    """Reads the amounts of one document, and remembers how finely they were stated (``unit_nano``)."""

    def __init__(self, decimal_mark: str = "") -> None:
        if decimal_mark not in ("", ".", ","):
            raise InvoiceError(f"a decimal mark is '.' or ',', got {decimal_mark[:10]!r}")
        self._mark = decimal_mark
        self._decimals = 0
        self._taken_for_decimals = ""

    @property
    def unit_nano(self) -> int:
        """The smallest step between the amounts that were read."""
        return int(10 ** (_NANO_DECIMALS - self._decimals))

    def dollars(self, value: object, where: str) -> int:
        """Read dollars as nano-USD; digits past the ninth decimal are rounded, half away from zero. Raises InvoiceError."""
        amount = (
            Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else self._text(value, where)
        )
        if not amount.is_finite():
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        return self._scaled(amount, NANO_PER_USD, where)

    def cents(self, value: object, where: str) -> int:
        """Read cents, whole or not, as nano-USD."""
        amount = (
            Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else self._text(value, where)
        )
        return self._scaled(amount / 100, NANO_PER_USD, where)

    def nano(self, value: object, where: str) -> int:
        """Read a whole number of nano-USD."""
        text = str(value).strip()
        if isinstance(value, int | str | Decimal) and not isinstance(value, bool) and _WHOLE.fullmatch(text):
            self._decimals = _NANO_DECIMALS
            return _bounded(int(text.partition(".")[0]), where)
        raise InvoiceError(f"{where}: {text[:40]!r} is not a whole number of nano-USD")

    def _scaled(self, amount: Decimal, per_unit: int, where: str) -> int:
        exponent = amount.normalize().as_tuple().exponent
        stated = amount.as_tuple().exponent
        if not isinstance(exponent, int) or not isinstance(stated, int) or abs(exponent) > 30:
            raise InvoiceError(f"{where}: {str(amount)[:40]} is not a plausible amount")
        # What is stated in whole dollars is still known to the cent.
        self._decimals = max(self._decimals, min(_NANO_DECIMALS, max(2, -max(exponent, stated) if stated >= 0 else -stated)))
        numerator, denominator = amount.as_integer_ratio()
        return _bounded(divide_half_away(numerator * per_unit, denominator), where)

    def _text(self, value: object, where: str) -> Decimal:
        if not isinstance(value, str):
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        if _FOREIGN.search(value):
            raise InvoiceError(f"{where}: {value[:40]!r} is not in USD; nothing is converted here", "wrong_currency")
        text = _DECORATION.sub("", value).replace("\u2212", "-")
        negative = text.startswith(("-", "(")) or text.endswith("-")
        digits = self._with_point(text.strip("-()+"), value, where)
        try:
            amount = Decimal(digits if _PLAIN.fullmatch(digits) else "")
        except InvalidOperation:
            raise InvoiceError(f"{where}: {value[:40]!r} is not an amount") from None
        return -amount if negative else amount

    def _with_point(self, text: str, shown: str, where: str) -> str:
        """Return the digits with a point before the decimals and nothing between thousands."""
        marks = [mark for mark in ".," if mark in text]
        if len(marks) == 2:
            self._settle("." if text.rfind(".") > text.rfind(",") else ",", shown, where)
        elif marks == [","]:
            before, _, after = text.rpartition(",")
            if "," in before:
                self._settle(".", shown, where)
            elif len(after) != 3 or before in ("", "0") or len(before) > 3:
                self._settle(",", shown, where)
            elif not self._mark:
                raise InvoiceError(
                    f"{where}: {shown[:40]!r} may be thousands or decimals; say which mark stands before decimals"
                )
        elif marks == ["."] and text.count(".") > 1:
            self._settle(",", shown, where)
        elif marks == ["."] and not self._mark:
            # A point is nearly always before decimals; should a comma turn out to be, this one was not.
            self._taken_for_decimals = self._taken_for_decimals or shown
        thousands = "," if self._mark != "," else "."
        if thousands in text and not _GROUPED[thousands].match(text):
            return ""  # 12.34.56 is neither grouped by thousands nor a fraction
        return text.replace(thousands, "").replace(",", ".")

    def _settle(self, mark: str, shown: str, where: str) -> None:
        if self._mark and self._mark != mark:
            raise InvoiceError(f"{where}: {shown[:40]!r} has another decimal mark than the amounts before ({self._mark!r})")
        if mark == "," and self._taken_for_decimals and not self._mark:
            raise InvoiceError(
                f"{where}: {shown[:40]!r} has a decimal comma, and an amount before ({self._taken_for_decimals[:40]!r}) was"
                " read with a decimal point; say which mark stands before decimals"
            )
        self._mark = mark


def _bounded(nano: int, where: str) -> int:
    if abs(nano) >= _MAX_NANO:
        raise InvoiceError(f"{where}: the amount is beyond anything that could be billed")
    return nano

"""Amounts of money as invoices write them: ``$1,234.56``, ``1.234,56``, ``(12.30)``, ``-0,05``.

The decimal mark is inferred from the amounts and is the same throughout a document. An amount that leaves it open ("1,234") is
refused, and the caller must name the mark: a wrong guess would be off by a factor of a thousand.
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
    """Reads the amounts of one document, and tracks the unit they are stated in (``unit_nano``)."""

    def __init__(self, decimal_mark: str = "") -> None:
        if decimal_mark not in ("", ".", ","):
            raise InvoiceError(f"the decimal mark must be '.' or ',', got {decimal_mark[:10]!r}")
        self._mark = decimal_mark
        self._decimals = 0
        self._read_as_decimals = ""

    @property
    def unit_nano(self) -> int:
        """The smallest unit among the amounts already read, in nano-USD."""
        return int(10 ** (_NANO_DECIMALS - self._decimals))

    def dollars(self, value: object, where: str) -> int:
        """Read dollars as nano-USD, rounded half away from zero after the ninth decimal. Raises InvoiceError."""
        amount = (
            Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else self._text(value, where)
        )
        if not amount.is_finite():
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        return self._scaled(amount, NANO_PER_USD, where)

    def cents(self, value: object, where: str) -> int:
        """Read cents, whole or not, as nano-USD. Raises InvoiceError."""
        amount = (
            Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else self._text(value, where)
        )
        return self._scaled(amount / 100, NANO_PER_USD, where)

    def nano(self, value: object, where: str) -> int:
        """Read a whole number of nano-USD. Raises InvoiceError."""
        if value is None:
            raise InvoiceError(f"{where} is missing; it must be a whole number of nano-USD")
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
        # Amounts in whole dollars are taken to be accurate to the cent.
        self._decimals = max(self._decimals, min(_NANO_DECIMALS, max(2, -max(exponent, stated) if stated >= 0 else -stated)))
        numerator, denominator = amount.as_integer_ratio()
        return _bounded(divide_half_away(numerator * per_unit, denominator), where)

    def _text(self, value: object, where: str) -> Decimal:
        if not isinstance(value, str):
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        if _FOREIGN.search(value):
            raise InvoiceError(
                f"{where}: {value[:40]!r} is not in USD, and amounts are not converted",
                "wrong_currency",
            )
        text = _DECORATION.sub("", value).replace("\u2212", "-")
        negative = text.startswith(("-", "(")) or text.endswith("-")
        digits = self._with_point(text.strip("-()+"), value, where)
        try:
            amount = Decimal(digits if _PLAIN.fullmatch(digits) else "")
        except InvalidOperation:
            raise InvoiceError(f"{where}: {value[:40]!r} is not an amount") from None
        return -amount if negative else amount

    def _with_point(self, text: str, shown: str, where: str) -> str:
        """Return the digits with a point before the decimals and no thousands separators."""
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
                raise InvoiceError(f"{where}: {shown[:40]!r} can be thousands or decimals; name the decimal mark")
        elif marks == ["."] and text.count(".") > 1:
            self._settle(",", shown, where)
        elif marks == ["."] and not self._mark:
            # A point nearly always precedes decimals; if a later amount shows a decimal comma, this one did not.
            self._read_as_decimals = self._read_as_decimals or shown
        thousands = "," if self._mark != "," else "."
        if thousands in text and not _GROUPED[thousands].match(text):
            return ""  # 12.34.56 has neither groups of thousands nor decimals
        return text.replace(thousands, "").replace(",", ".")

    def _settle(self, mark: str, shown: str, where: str) -> None:
        if self._mark and self._mark != mark:
            raise InvoiceError(f"{where}: {shown[:40]!r} has a different decimal mark than earlier amounts ({self._mark!r})")
        if mark == "," and self._read_as_decimals and not self._mark:
            raise InvoiceError(
                f"{where}: {shown[:40]!r} has a decimal comma, but an earlier amount ({self._read_as_decimals[:40]!r}) was read"
                " with a decimal point; name the decimal mark"
            )
        self._mark = mark


def _bounded(nano: int, where: str) -> int:
    if abs(nano) >= _MAX_NANO:
        raise InvoiceError(f"{where}: the amount is too large; it must be less than {_MAX_NANO} nano-USD")
    return nano

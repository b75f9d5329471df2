"""Amounts of money as invoices write them: ``$1,234.56``, ``1.234,56``, ``(12.30)``, ``-0,05``.

The decimal mark is inferred from the amounts and is the same throughout a document. For an amount that leaves it open
("1,234"), the other amounts of the document decide. If they leave it open too, the caller must name the mark: a wrong guess
would be off by a factor of a thousand.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation

from metering.domain.reconciliation.invoices import InvoiceError
from metering.invoices.currencies import is_foreign, unsigned
from metering.invoices.numbers import MAX_LENGTH, WrittenNumber, read_number
from pricing.money import NANO_PER_USD, divide_half_away

NANO_PER_CENT = 10_000_000
MAX_COUNT = 10**15
_MAX_NANO = 2**62
_NANO_DECIMALS = 9

_WHOLE = re.compile(r"-?\d{1,19}(\.0+)?", re.ASCII)
_SIMPLE = re.compile(r"-?\d{1,20}\.\d{1,20}", re.ASCII)
_NOT_IN_COUNTS = re.compile(r"[$A-Z]", re.IGNORECASE)
_ZEROS = re.compile(r"\d+\.0+", re.ASCII)


def _no_others() -> Iterable[object]:
    return ()


class AmountReader:
    """Reads the amounts of one document, and tracks the unit they are stated in (``unit_nano``).

    ``others`` returns the stated amounts of the document from its start. It is called at most once, when an amount leaves the
    decimal mark open.
    """

    def __init__(self, decimal_mark: str = "", others: Callable[[], Iterable[object]] = _no_others) -> None:
        if decimal_mark not in ("", ".", ","):
            raise InvoiceError(f"the decimal mark must be '.' or ',', got {decimal_mark[:10]!r}")
        self._mark = decimal_mark
        self._others: Callable[[], Iterable[object]] | None = others
        self._decimals = 0
        self._last_decimals = 2
        self._read_as_decimals = ""

    @property
    def unit_nano(self) -> int:
        """The smallest unit among the amounts already read, in nano-USD."""
        return int(10 ** (_NANO_DECIMALS - self._decimals))

    @property
    def last_unit_nano(self) -> int:
        """The unit of the amount that was read last, in nano-USD."""
        return int(10 ** (_NANO_DECIMALS - self._last_decimals))

    @property
    def assumed(self) -> str:
        """An amount that was read with a decimal point although no amount proves it; empty if there is none."""
        return self._read_as_decimals if not self._mark else ""

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
        if not amount.is_finite():
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        return self._scaled(amount / 100, NANO_PER_USD, where)

    def nano(self, value: object, where: str) -> int:
        """Read a whole number of nano-USD. Raises InvoiceError."""
        if value is None:
            raise InvoiceError(f"{where} is missing; it must be a whole number of nano-USD")
        text = str(value).strip()
        if isinstance(value, int | str | Decimal) and not isinstance(value, bool) and _WHOLE.fullmatch(text):
            self._decimals = self._last_decimals = _NANO_DECIMALS
            return _bounded(int(text.partition(".")[0]), where)
        raise InvoiceError(f"{where}: {text[:40]!r} is not a whole number of nano-USD")

    def count(self, value: object, where: str) -> int | None:
        """Read a whole number, which may be negative, in the document's convention; None if nothing is stated.

        Raises InvoiceError for fractions, and for groups that the decimal mark of the amounts contradicts.
        """
        if value is None or value == "":
            return None
        count = whole_number(value)
        if count is None and isinstance(value, str):
            count = self._count_text(value)
        if count is None or abs(count) >= MAX_COUNT:
            raise InvoiceError(f"{where} must be a whole number, got {str(value)[:40]!r}")
        return count

    def _count_text(self, value: str) -> int | None:
        negative, written = (False, None) if _NOT_IN_COUNTS.search(value) else _signed_number(value)
        if written is None:
            return None
        if written.open_mark and not self._mark:
            self._look_for_mark()
        # A count has no decimals: a single comma separates its thousands unless the amounts show that it precedes decimals.
        mark = written.shows or self._mark or ("." if written.open_mark == "," else "")
        if self._mark and mark != self._mark:
            return None
        digits = written.digits(mark) if mark or not written.open_mark else ""
        if not digits.isdecimal():
            return None
        if "," in written.text or "." in written.text:
            self._mark = mark
        return -int(digits) if negative else int(digits)

    def _scaled(self, amount: Decimal, per_unit: int, where: str) -> int:
        exponent = amount.normalize().as_tuple().exponent
        stated = amount.as_tuple().exponent
        if not isinstance(exponent, int) or not isinstance(stated, int) or abs(exponent) > 30:
            raise InvoiceError(f"{where}: {str(amount)[:40]} is not a plausible amount")
        # Amounts in whole dollars are taken to be accurate to the cent.
        self._last_decimals = min(_NANO_DECIMALS, max(2, -max(exponent, stated) if stated >= 0 else -stated))
        self._decimals = max(self._decimals, self._last_decimals)
        numerator, denominator = amount.as_integer_ratio()
        return _bounded(divide_half_away(numerator * per_unit, denominator), where)

    def _text(self, value: object, where: str) -> Decimal:
        if not isinstance(value, str):
            raise InvoiceError(f"{where}: {str(value)[:40]!r} is not an amount")
        if self._mark == "." and _SIMPLE.fullmatch(value):
            return Decimal(value)
        if len(value) <= MAX_LENGTH and is_foreign(value):
            raise InvoiceError(
                f"{where}: {value[:40]!r} is not in USD, and amounts are not converted",
                "wrong_currency",
            )
        negative, written = _signed_number(value)
        if written is None:
            raise InvoiceError(f"{where}: {value[:40]!r} is not an amount such as 1234.56, 1,234.56 or -0.05")
        if written.shows:
            self._settle(written.shows, value, where)
        elif written.open_mark and not self._mark:
            self._settle_open(written.open_mark, value, where)
        try:
            amount = Decimal(written.digits(self._mark or written.open_mark))
        except InvalidOperation:
            raise InvoiceError(f"{where}: {value[:40]!r} is not an amount") from None
        return -amount if negative else amount

    def _settle(self, mark: str, shown: str, where: str) -> None:
        if self._mark and self._mark != mark:
            raise InvoiceError(f"{where}: {shown[:40]!r} has a different decimal mark than earlier amounts ({self._mark!r})")
        if mark == "," and self._read_as_decimals and not self._mark:
            raise InvoiceError(
                f"{where}: {shown[:40]!r} has a decimal comma, but an earlier amount ({self._read_as_decimals[:40]!r}) was read"
                " with a decimal point; name the decimal mark"
            )
        self._mark = mark

    def _settle_open(self, open_mark: str, shown: str, where: str) -> None:
        """Find out what the mark of an amount like "1,234" means from the other amounts of the document."""
        self._look_for_mark()
        if not self._mark and open_mark == ",":
            raise InvoiceError(f"{where}: {shown[:40]!r} can be thousands or decimals; name the decimal mark")
        if not self._mark:
            # A point nearly always precedes decimals; if a later amount shows a decimal comma, this one did not.
            self._read_as_decimals = self._read_as_decimals or shown

    def _look_for_mark(self) -> None:
        others, self._others = self._others, None
        for value in others() if others is not None else ():
            written = _signed_number(value)[1] if isinstance(value, str) else None
            if written is not None and written.shows:
                self._mark = written.shows
                return


def whole_number(value: object) -> int | None:
    """Return a plain whole number: an integer, a decimal without a fraction, digits, ``5.0``; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and len(text) <= MAX_LENGTH and (text.removeprefix("-").isdecimal() or _is_decimal_zero(text)):
            return int(text.partition(".")[0])
        return None
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value() and abs(value) < MAX_COUNT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_decimal_zero(text: str) -> bool:
    """Return whether a text is a whole number with zeros as decimals. ``1.000`` can be a thousand, and is not."""
    written = read_number(text.removeprefix("-")) if _ZEROS.fullmatch(text.removeprefix("-")) else None
    return written is not None and written.shows == "."


def _signed_number(text: str) -> tuple[bool, WrittenNumber | None]:
    parts = unsigned(text)
    if parts is None:
        return False, None
    return parts[0], read_number(parts[1])


def _bounded(nano: int, where: str) -> int:
    if abs(nano) >= _MAX_NANO:
        raise InvoiceError(f"{where}: the amount is too large; it must be less than {_MAX_NANO} nano-USD")
    return nano

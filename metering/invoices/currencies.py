"""Signs and currencies around a written amount: ``-$5``, ``US$ 5``, ``(5.00) USD``, ``5-``. Other currencies are refused."""

import re
import unicodedata

from metering.invoices.numbers import MAX_LENGTH

_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNH CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KRW KZT MXN MYR NGN NOK NZD PEN"
    " PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD UAH VND ZAR"
)
_FOREIGN = re.compile(rf"(?<![A-Z])(?:{'|'.join(_CODES.split())})(?![A-Z])|(?<![A-Z])(?!US\$)[A-Z]{{1,3}}\$", re.IGNORECASE)
_LEADING = re.compile(r"(US\$|\$|USD(?![A-Z])|[-+(\u2010-\u2013\u2212])\s*", re.IGNORECASE)
_TRAILING = re.compile(r"\s*(US\$|\$|(?<![A-Z])USD|[-+)\u2010-\u2013\u2212])$", re.IGNORECASE)
_MAX_MARKS = 4


def is_foreign(text: str) -> bool:
    """Return whether a short text names a currency other than the US dollar, by its sign or its code."""
    if text.isascii():
        return bool(_FOREIGN.search(text))
    return bool(_FOREIGN.search(text)) or any(unicodedata.category(each) == "Sc" and each != "$" for each in text)


def unsigned(text: str) -> tuple[bool, str] | None:
    """Return whether an amount is negative, and the amount without signs, parentheses and dollars; None if they contradict.

    Either a minus in front or behind makes it negative, or parentheses around it, but not both.
    """
    if len(text) > MAX_LENGTH:
        return None
    rest = text.strip()
    leading: list[str] = []
    trailing: list[str] = []
    while (match := _LEADING.match(rest)) and len(leading) < _MAX_MARKS:
        leading.append(match[1].upper())
        rest = rest[match.end() :]
    while (match := _TRAILING.search(rest)) and len(trailing) < _MAX_MARKS:
        trailing.append(match[1].upper())
        rest = rest[: match.start()]
    opened, closed = leading.count("("), trailing.count(")")
    signs = [each for each in (*leading, *trailing) if each not in ("(", ")") and "$" not in each and each != "USD"]
    dollars = [[each for each in side if "$" in each or each == "USD"] for side in (leading, trailing)]
    if opened != closed or opened + len(signs) > 1 or any(len(side) > 1 for side in dollars):
        return None
    return bool(opened or (signs and signs[0] != "+")), rest

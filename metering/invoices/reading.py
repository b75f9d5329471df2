"""Reading an invoice: the options, the result (a head, and lines as a stream), and how single values are read."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import BinaryIO

import msgspec
from msgspec import Struct, field

from metering.domain.instants import MICROS_PER_SECOND, parse_instant
from metering.domain.reconciliation.invoices import HUGGING_FACE, USD, ExcludedInvoiceRow, InvoiceError, InvoiceLine
from metering.invoices.amounts import MAX_COUNT, AmountReader, whole_number
from pricing.money import NANO_PER_USD

MAX_JSON_BYTES = 256 * 1024 * 1024
MAX_TEXT = 255

EXCLUDE, KEEP = "exclude", "keep"
TOTAL_ROWS = ("", EXCLUDE, KEEP)
"""What to do with rows that are the sum of others: leave out those that certainly are, and refuse a document with a row that
may be one; leave those out too; bill every row."""

_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_EPOCH_UNITS = ((11, MICROS_PER_SECOND), (14, 1_000), (17, 1), (20, Decimal("0.001")))


class ReadOptions(Struct, frozen=True, kw_only=True):
    """What the caller states about an invoice. ``start`` and ``end`` are its period, for a document that does not state one.

    ``columns`` maps fields of a line to names in the document (dotted paths in JSON). ``zone`` is the time zone of times
    without one, ``decimal_mark`` the character before decimals, for amounts that leave it open. ``total_rows`` is one of
    TOTAL_ROWS.
    """

    biller: str = ""
    provider: str = ""
    start: int | None = None
    end: int | None = None
    columns: Mapping[str, str] = {}
    zone: str = ""
    decimal_mark: str = ""
    total_rows: str = ""
    account_names: frozenset[str] = frozenset()


class InvoiceHead(Struct, kw_only=True):
    """An invoice's own properties, complete after its lines were read. ``total_nano`` is None if it states no total.

    ``unit_nano`` is the unit its amounts are stated in; ``notes`` are shown when it is imported, and so are the ``excluded``
    rows, which are sums of others and no lines.
    """

    format: str
    biller: str = HUGGING_FACE
    provider: str = ""
    start: int | None = None
    end: int | None = None
    total_nano: int | None = None
    unit_nano: int = NANO_PER_USD
    notes: list[str] = field(default_factory=list)
    excluded: list[ExcludedInvoiceRow] = field(default_factory=list)


class InvoiceReading(Struct):
    """An invoice being read: after the last line, the head is complete."""

    head: InvoiceHead
    lines: Iterator[InvoiceLine]


def read_json(source: BinaryIO) -> object:
    """Return a JSON document; numbers with decimals stay exact. Raises InvoiceError."""
    return decode_json(read_whole(source), "the document")


def read_whole(source: BinaryIO) -> bytes:
    """Return the content of a document that cannot be streamed. Raises InvoiceError if it is too large."""
    raw = source.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        raise InvoiceError(
            f"the document is larger than {MAX_JSON_BYTES} bytes; import it as CSV or with one JSON object per line",
            "invoice_too_large",
        )
    return raw


def decode_json(raw: bytes, what: str) -> object:
    """Decode JSON with exact decimals. Raises InvoiceError that names ``what``."""
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvoiceError(f"{what} is not JSON: {error}") from None


def text_of(value: object, name: str, position: int) -> str:
    """Return a value as a short text; a number is taken as an ID. Raises InvoiceError."""
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) <= MAX_TEXT and "\0" not in text:
            return text
    raise InvoiceError(f"line {position}: {name} must be a text of at most {MAX_TEXT} characters")


def count_of(value: object, name: str, position: int) -> int | None:
    """Return a count; None if nothing is stated. Raises InvoiceError for negative numbers and fractions."""
    if value is None or value == "":
        return None
    count = whole_number(value)
    if count is None:
        count = AmountReader().count(value, f"line {position}: {name}")
    if count is None or not 0 <= count < MAX_COUNT:
        raise InvoiceError(f"line {position}: {name} must be a whole number from 0, got {str(value)[:40]!r}")
    return count


def instant_of(value: object, what: str) -> int | None:
    """Return a stated instant: an ISO time with its zone, or a number that counts from 1970. Raises InvoiceError.

    The size of the number shows whether it counts seconds (with or without decimals), milli-, micro- or nanoseconds.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _since_1970(Decimal(value), what)
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return _since_1970(Decimal(value), what)
        try:
            return parse_instant(value if len(value) > len("2026-11-01") else f"{value}T00:00:00Z")
        except ValueError as error:
            raise InvoiceError(f"{what}: {error}") from None
    raise InvoiceError(f"{what} must be a time, got {str(value)[:40]!r}")


def _since_1970(number: Decimal, what: str) -> int:
    for digits, micros in _EPOCH_UNITS:
        if number.is_finite() and 0 <= number < Decimal(10) ** digits:
            return int(number * micros)
    raise InvoiceError(f"{what} must be a time, got {str(number)[:40]!r}")


def check_currency(currency: str) -> None:
    """Raise InvoiceError for a currency other than USD: amounts are not converted."""
    if currency.strip().upper() not in ("", USD, "US$", "$"):
        raise InvoiceError(
            f"the invoice is in {currency.strip()[:10]!r}; usage is metered in USD, and a conversion would cause differences",
            "wrong_currency",
        )


def check_account(name: str, options: ReadOptions) -> None:
    """Raise InvoiceError if an invoice names an account other than the one it is imported for."""
    known = {each.casefold() for each in options.account_names}
    if name and known and name.casefold() not in known:
        raise InvoiceError(
            f"the invoice names the account {name[:60]!r}, but it is being imported for another one", "wrong_account"
        )


_decode = msgspec.json.Decoder(float_hook=Decimal).decode

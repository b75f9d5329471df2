"""What reading a bill needs to be told, and what it gives: a head, and lines as a stream."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import BinaryIO

import msgspec
from msgspec import Struct, field

from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_SECOND, parse_instant
from metering.domain.reconciliation.invoices import HUGGING_FACE, USD, InvoiceError, InvoiceLine
from pricing.money import NANO_PER_USD

MAX_JSON_BYTES = 256 * 1024 * 1024
MAX_TEXT = 255


class ReadOptions(Struct, frozen=True, kw_only=True):
    """What the caller knows of a bill. ``start`` and ``end`` bound its period where it does not state one itself.

    ``columns`` maps fields of a line to the document's own names (dotted paths in JSON). ``zone`` is the time zone of times
    that carry none, ``decimal_mark`` what stands before decimals where that can not be told.
    """

    biller: str = ""
    provider: str = ""
    start: int | None = None
    end: int | None = None
    columns: Mapping[str, str] = {}
    zone: str = ""
    decimal_mark: str = ""
    currency: str = ""
    account_names: frozenset[str] = frozenset()


class InvoiceHead(Struct, kw_only=True):
    """What is said of a bill as a whole; complete once its lines were read. ``total_nano`` None: it states no total.

    ``unit_nano`` is how finely amounts are stated; ``notes`` are remarks for whoever imports it.
    """

    format: str
    biller: str = HUGGING_FACE
    provider: str = ""
    number: str = ""
    currency: str = USD
    start: int | None = None
    end: int | None = None
    issued_at: int | None = None
    total_nano: int | None = None
    unit_nano: int = NANO_PER_USD
    notes: list[str] = field(default_factory=list)


class InvoiceReading(Struct):
    """A bill being read: take the lines, then the head is complete."""

    head: InvoiceHead
    lines: Iterator[InvoiceLine]


def read_json(source: BinaryIO) -> object:
    """Return a JSON document; numbers with decimals stay exact. Raises InvoiceError."""
    return decode_json(read_whole(source), "the document")


def read_whole(source: BinaryIO) -> bytes:
    """Return what a document that can not be streamed says. Raises InvoiceError for one that is too large to be held."""
    raw = source.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        raise InvoiceError(
            f"the document has more than {MAX_JSON_BYTES} bytes; as CSV or with one JSON object a line it is streamed",
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
    """Return a value as a short text; numbers are ids as they stand. Raises InvoiceError."""
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) <= MAX_TEXT and "\0" not in text:
            return text
    raise InvoiceError(f"line {position}: {name} must be a text of at most {MAX_TEXT} characters")


def count_of(value: object, name: str, position: int) -> int | None:
    """Return a count; None where nothing is stated. Raises InvoiceError for what is negative or no whole number."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().isascii():
        text = value.strip().replace(",", "").replace(" ", "").removesuffix(".0")
        value = int(text) if text.isdecimal() and len(text) <= 15 else value
    elif isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return value
    raise InvoiceError(f"line {position}: {name} must be a whole number from 0, got {str(value)[:40]!r}")


def moment_of(value: object, what: str) -> int | None:
    """Return a moment that a document states: an ISO time with its zone, or an epoch number of seconds or milliseconds."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value * (MICROS_PER_SECOND if value < 10**11 else 1_000)
    if isinstance(value, str):
        if value.isdecimal():
            return moment_of(int(value), what)
        try:
            return parse_instant(value if len(value) > len("2026-11-01") else f"{value}T00:00:00Z")
        except ValueError as error:
            raise InvoiceError(f"{what}: {error}") from None
    raise InvoiceError(f"{what} must be a time, got {str(value)[:40]!r}")


def day_of_moment(micros: int) -> int:
    """Return the UTC day of a moment."""
    return micros // MICROS_PER_DAY


def check_currency(currency: str) -> str:
    """Return USD, or raise InvoiceError: nothing is converted here."""
    if currency.strip().upper() in ("", USD, "US$", "$"):
        return USD
    raise InvoiceError(
        f"the bill is in {currency.strip()[:10]!r}; usage is metered in USD, and converting would invent a difference",
        "wrong_currency",
    )


def check_account(name: str, options: ReadOptions) -> None:
    """Raise InvoiceError where a bill names an account that is not the one it is imported for."""
    known = {each.casefold() for each in options.account_names}
    if name and known and name.casefold() not in known:
        raise InvoiceError(
            f"the bill names the account {name[:60]!r}, which is not the one it is imported for", "wrong_account"
        )


_decode = msgspec.json.Decoder(float_hook=Decimal).decode

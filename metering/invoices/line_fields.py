"""The fields of a line that a column map can name, for CSV and JSON, and how each value is read.

``amount`` is in dollars, ``amount_cents`` in cents, ``amount_nano_usd`` in nano-USD; ``date`` is a day, or a time that counts
as its UTC day.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from metering.domain.errors import DomainError
from metering.domain.instants import day_number, day_of, to_micros
from metering.domain.reconciliation.invoices import (
    LINE_QUANTITIES,
    NO_QUANTITIES,
    InvoiceError,
    InvoiceLine,
    InvoiceLineKind,
)
from metering.invoices.amounts import AmountReader
from metering.invoices.reading import InvoiceHead, ReadOptions, check_account, check_currency, count_of, instant_of, text_of

AMOUNT_FIELDS = ("amount", "amount_cents", "amount_nano_usd")
TEXT_FIELDS = ("request_id", "session", "provider", "model")
_QUANTITIES = frozenset(LINE_QUANTITIES)
FIELDS = (*TEXT_FIELDS, "date", "requests", *AMOUNT_FIELDS, "kind", "currency", "account", *LINE_QUANTITIES)

_KINDS = {"discount": InvoiceLineKind.CREDIT, "subscription": InvoiceLineKind.FEE, "vat": InvoiceLineKind.TAX} | {
    str(kind): kind for kind in InvoiceLineKind
}


class LineReader:
    """Makes lines from named values. ``skipped`` counts those that state neither an amount nor a quantity."""

    def __init__(self, options: ReadOptions) -> None:
        self.amounts = AmountReader(options.decimal_mark)
        self._readers = tuple(zip(AMOUNT_FIELDS, (self.amounts.dollars, self.amounts.cents, self.amounts.nano), strict=True))
        self.skipped = 0
        self._options = options
        try:
            self._zone = ZoneInfo(options.zone) if options.zone else None
        except (KeyError, ValueError, OSError):
            raise InvoiceError(f"{options.zone[:60]!r} is not a time zone; write an IANA name such as Europe/Berlin") from None

    def line(self, position: int, values: Mapping[str, object]) -> InvoiceLine | None:
        """Return the line with these values of FIELDS; None and empty mean not stated. Raises InvoiceError.

        None if it states neither an amount nor a quantity: what it bills is unknown, which is not zero.
        """
        where = f"line {position}"
        value = values.get
        if "currency" in values:
            check_currency(text_of(values["currency"], "currency", position))
        if "account" in values:
            check_account(text_of(values["account"], "account", position), self._options)
        kind = self._kind(values["kind"], position) if "kind" in values else InvoiceLineKind.USAGE
        texts = {name: text_of(values[name], name, position) for name in TEXT_FIELDS if name in values}
        quantities = {
            name: count
            for name in values
            if name in _QUANTITIES and (count := count_of(values[name], name, position)) is not None
        }
        amount, requests = self._amount(values, where), count_of(value("requests"), "requests", position)
        if amount is None and not quantities:
            self.skipped += 1
            return None
        return InvoiceLine(
            position=position,
            kind=kind,
            amount_nano=amount,
            day=self.day(value("date"), where),
            requests=requests,
            quantities=quantities or NO_QUANTITIES,
            **texts,
        )

    def finish(self, head: InvoiceHead, lines: int) -> None:
        """Complete the head after all lines were read. Raises InvoiceError if there are none."""
        if not lines:
            raise InvoiceError("no line states an amount or a quantity; map the columns that do")
        if self.skipped:
            head.notes.append(f"lines left out because they state neither an amount nor a quantity: {self.skipped}")
        head.unit_nano = self.amounts.unit_nano

    def _kind(self, stated: object, position: int) -> InvoiceLineKind:
        kind = text_of(stated, "kind", position).casefold() or InvoiceLineKind.USAGE
        if kind not in _KINDS:
            raise InvoiceError(f"line {position}: the kind {kind[:40]!r} is unknown; use one of {', '.join(sorted(_KINDS))}")
        return _KINDS[kind]

    def _amount(self, values: Mapping[str, object], where: str) -> int | None:
        for name, read in self._readers:
            stated = values.get(name)
            if stated is not None and stated != "":
                return read(stated, f"{where}: {name}")
        return None

    def day(self, stated: object, where: str) -> int | None:
        """Return the UTC day of a date or a time; None if nothing is stated. Raises InvoiceError."""
        if isinstance(stated, str) and stated:
            try:
                if len(stated) == len("2026-11-03"):
                    return day_number(date.fromisoformat(stated))
                time = datetime.fromisoformat(stated)
            except ValueError:
                raise InvoiceError(f"{where}: {stated[:40]!r} is not a date such as 2026-11-03") from None
            if time.tzinfo is None:
                if self._zone is None:
                    raise InvoiceError(
                        f"{where}: {stated[:40]!r} has no time zone; name the time zone of the document", "naive_time"
                    )
                time = time.replace(tzinfo=self._zone)
            return day_of(to_micros(time))
        instant = instant_of(stated, f"{where}: date")
        return None if instant is None else day_of(instant)


def read_column_map(pairs: Iterable[str]) -> dict[str, str]:
    """Read a column map written as ``field=column`` pairs. Raises DomainError."""
    columns = {}
    for pair in pairs:
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise DomainError(f"a column map is written as FIELD=COLUMN, got {pair[:60]!r}")
        columns[field] = column
    return columns


def check_map(columns: Mapping[str, str]) -> None:
    """Raise InvoiceError for a map that names an unknown field."""
    unknown = sorted(columns.keys() - set(FIELDS) - {"lines"})
    if unknown:
        raise InvoiceError(f"{unknown[0][:40]!r} is not a field of a line; the fields are {', '.join(FIELDS)}")

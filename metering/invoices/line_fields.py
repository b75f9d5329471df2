"""From named values to a line: what a column map, of a CSV or of JSON objects, can name, and how each value is read.

``amount`` is in dollars, ``amount_cents`` in cents, ``amount_nano_usd`` in nano-USD; ``date`` is a day, or a time whose UTC day
counts.
"""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from metering.domain.instants import day_number, day_of, to_micros
from metering.domain.reconciliation.invoices import (
    LINE_QUANTITIES,
    NO_QUANTITIES,
    InvoiceError,
    InvoiceLine,
    InvoiceLineKind,
)
from metering.invoices.amounts import AmountReader
from metering.invoices.reading import InvoiceHead, ReadOptions, check_account, check_currency, count_of, moment_of, text_of

AMOUNT_FIELDS = ("amount", "amount_cents", "amount_nano_usd")
TEXT_FIELDS = ("request_id", "session", "provider", "model")
_QUANTITIES = frozenset(LINE_QUANTITIES)
FIELDS = (*TEXT_FIELDS, "date", "requests", *AMOUNT_FIELDS, "kind", "currency", "account", *LINE_QUANTITIES)

_KINDS = {"discount": InvoiceLineKind.CREDIT, "subscription": InvoiceLineKind.FEE, "vat": InvoiceLineKind.TAX} | {
    str(kind): kind for kind in InvoiceLineKind
}


class LineReader:
    """Makes lines of named values. ``silent`` counts those that say nothing of what is owed."""

    def __init__(self, options: ReadOptions) -> None:
        self.amounts = AmountReader(options.decimal_mark)
        self._readers = tuple(zip(AMOUNT_FIELDS, (self.amounts.dollars, self.amounts.cents, self.amounts.nano), strict=True))
        self.silent = 0
        self._options = options
        try:
            self._zone = ZoneInfo(options.zone) if options.zone else None
        except (KeyError, ValueError, OSError):
            raise InvoiceError(f"{options.zone[:60]!r} is not a time zone; write an IANA name such as Europe/Berlin") from None

    def line(self, position: int, values: Mapping[str, object]) -> InvoiceLine | None:
        """Return the line with the values of FIELDS; None and empty are not stated. Raises InvoiceError.

        None for one that states neither an amount nor a quantity: it says nothing of what is owed, which is not zero.
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
            self.silent += 1
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
        """Complete the head once all lines were read. Raises InvoiceError where none says what is owed."""
        if not lines:
            raise InvoiceError("no line states an amount or a quantity; map the columns that do")
        if self.silent:
            head.notes.append(f"left out, because neither an amount nor a quantity is stated: {self.silent} of the lines")
        head.unit_nano = self.amounts.unit_nano

    def _kind(self, stated: object, position: int) -> InvoiceLineKind:
        kind = text_of(stated, "kind", position).casefold() or InvoiceLineKind.USAGE
        if kind not in _KINDS:
            raise InvoiceError(f"line {position}: the kind {kind[:40]!r} is none of {', '.join(sorted(_KINDS))}")
        return _KINDS[kind]

    def _amount(self, values: Mapping[str, object], where: str) -> int | None:
        for name, read in self._readers:
            stated = values.get(name)
            if stated is not None and stated != "":
                return read(stated, f"{where}: {name}")
        return None

    def day(self, stated: object, where: str) -> int | None:
        """Return the UTC day of a date or a time; None where nothing is stated. Raises InvoiceError."""
        if isinstance(stated, str) and stated:
            try:
                if len(stated) == len("2026-11-03"):
                    return day_number(date.fromisoformat(stated))
                moment = datetime.fromisoformat(stated)
            except ValueError:
                raise InvoiceError(f"{where}: {stated[:40]!r} is not a date such as 2026-11-03") from None
            if moment.tzinfo is None:
                if self._zone is None:
                    raise InvoiceError(
                        f"{where}: {stated[:40]!r} has no time zone; name the zone of the document", "naive_time"
                    )
                moment = moment.replace(tzinfo=self._zone)
            return day_of(to_micros(moment))
        moment_micros = moment_of(stated, f"{where}: date")
        return None if moment_micros is None else day_of(moment_micros)


def check_map(columns: Mapping[str, str]) -> None:
    """Raise InvoiceError for a map that names a field there is not."""
    unknown = sorted(columns.keys() - set(FIELDS) - {"lines"})
    if unknown:
        raise InvoiceError(f"{unknown[0][:40]!r} is not a field of a line; there are {', '.join(FIELDS)}")

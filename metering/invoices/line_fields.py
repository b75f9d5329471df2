"""The fields of a line that a column map can name, for CSV and JSON, and how each value is read.

``amount`` is in dollars, ``amount_cents`` in cents, ``amount_nano_usd`` in nano-USD; ``date`` is a day, or a time that counts
as its UTC day.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from metering.invoices.reading import (
    KEEP,
    TOTAL_ROWS,
    InvoiceHead,
    ReadOptions,
    check_account,
    check_currency,
    instant_of,
    text_of,
)
from metering.invoices.total_labels import LabelReader
from metering.invoices.total_rows import RowLabel, TotalRows

AMOUNT_FIELDS = ("amount", "amount_cents", "amount_nano_usd")
TEXT_FIELDS = ("request_id", "session", "provider", "model")
_QUANTITIES = frozenset(LINE_QUANTITIES)
_LABELLED = ("model", "date", "provider", "session", "request_id", "kind", "account")
_IDS = frozenset({"request_id", "session"})
_DIGIT = re.compile(r"\d")
_EPOCH = re.compile(r"\d{9,19}(\.\d{1,9})?", re.ASCII)
FIELDS = (*TEXT_FIELDS, "date", "requests", *AMOUNT_FIELDS, "kind", "currency", "account", *LINE_QUANTITIES)

_KINDS = {"discount": InvoiceLineKind.CREDIT, "subscription": InvoiceLineKind.FEE, "vat": InvoiceLineKind.TAX} | {
    str(kind): kind for kind in InvoiceLineKind
}


StatedRow = tuple[int, Mapping[str, object], Sequence[str]]
"""One row of a document: its line number, its values by field, and other texts on it."""


class LineReader:
    """Makes lines from named values. ``skipped`` counts those that state neither an amount nor a quantity.

    ``amounts`` returns the stated amounts of the document from its start, for a decimal mark that an amount leaves open.
    """

    def __init__(self, options: ReadOptions, amounts: Callable[[], Iterable[object]] = tuple) -> None:
        if options.total_rows not in TOTAL_ROWS:
            raise InvoiceError(
                f"rows that are totals can be excluded (exclude) or kept (keep), got {options.total_rows[:40]!r}"
            )
        self.amounts = AmountReader(options.decimal_mark, amounts)
        self._readers = tuple(zip(AMOUNT_FIELDS, (self.amounts.dollars, self.amounts.cents, self.amounts.nano), strict=True))
        self.skipped = 0
        self._options = options
        self._totals = TotalRows(options.total_rows, self.amounts)
        self._labels = LabelReader()
        try:
            self._zone = ZoneInfo(options.zone) if options.zone else None
        except (KeyError, ValueError, OSError):
            raise InvoiceError(f"{options.zone[:60]!r} is not a time zone; write an IANA name such as Europe/Berlin") from None

    def lines(self, rows: Iterable[StatedRow], head: InvoiceHead) -> Iterator[InvoiceLine]:
        """Yield the lines of a document, without rows that are sums of others; then complete the head. Raises InvoiceError."""
        take, lines = self._totals.take, 0
        finds_labels = self._options.total_rows != KEEP
        for position, values, others in rows:
            label = self._label(values, others) if finds_labels else None
            line = self.line(position, values if label is None else self._without_labels(values))
            known = None if line is None else take(line, label)
            if known is not None:
                lines += 1
                yield known
        known = self._totals.finish()
        if known is not None:
            lines += 1
            yield known
        self._finish(head, lines)

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
        amount = self._amount(values, where)
        count = self.amounts.count
        quantities = {
            name: number
            for name in values
            if name in _QUANTITIES and (number := count(values[name], f"{where}: {name}")) is not None
        }
        requests = count(values["requests"], f"{where}: requests") if "requests" in values else None
        is_negative = (requests is not None and requests < 0) or (quantities and min(quantities.values()) < 0)
        if is_negative and (amount is None or amount > 0):
            name = next((name for name, number in quantities.items() if number < 0), "requests")
            raise InvoiceError(f"{where}: {name} is negative, which only a refund (a line with a negative amount) can be")
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

    def _finish(self, head: InvoiceHead, lines: int) -> None:
        """Complete the head after all lines were read. Raises InvoiceError if there are none."""
        if not lines:
            raise InvoiceError("no line states an amount or a quantity; map the columns that do")
        if self.skipped:
            head.notes.append(f"lines left out because they state neither an amount nor a quantity: {self.skipped}")
        if self.amounts.assumed:
            head.notes.append(
                f"amounts such as {self.amounts.assumed[:40]} are read with a decimal point; if it separates thousands,"
                " name the decimal mark"
            )
        head.unit_nano = self.amounts.unit_nano
        head.excluded += self._totals.excluded

    def _label(self, values: Mapping[str, object], others: Sequence[str]) -> RowLabel | None:
        """Return the label of a row that calls itself a total; None if it does not."""
        is_plain = self._labels.plain.__contains__
        for field in _LABELLED:
            text = values.get(field)
            if text and isinstance(text, str) and not is_plain(text) and self._is_label(field, text):
                return RowLabel(text, is_certain=True)
        for text in others:
            if text and not is_plain(text) and self._labels.is_label(text):
                return RowLabel(text, is_certain=False)
        return None

    def _is_label(self, field: str, text: str) -> bool:
        return not (field in _IDS and _DIGIT.search(text)) and self._labels.is_label(text)

    def _without_labels(self, values: Mapping[str, object]) -> dict[str, object]:
        return {
            field: "" if field in _LABELLED and isinstance(text, str) and self._is_label(field, text) else text
            for field, text in values.items()
        }

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
        """Return the UTC day of a date or a time; None if nothing is stated. Raises InvoiceError.

        A number of nine digits or more is a time since 1970.
        """
        if isinstance(stated, str) and stated and not _EPOCH.fullmatch(stated):
            try:
                if len(stated) in (len("2026-11-03"), len("20261103")):
                    return day_number(date.fromisoformat(stated))
                time = None if stated.isdecimal() else datetime.fromisoformat(stated)
            except ValueError:
                time = None
            if time is None:
                raise InvoiceError(
                    f"{where}: {stated[:40]!r} is not a date such as 2026-11-03, a time, or a number of seconds since 1970"
                )
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
    columns: dict[str, str] = {}
    for pair in pairs:
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and field and column):
            raise DomainError(f"a column map is written as FIELD=COLUMN, got {pair[:60]!r}")
        if columns.setdefault(field, column) != column:
            raise DomainError(f"there are two columns for {field[:40]}, {columns[field][:40]!r} and {column[:40]!r}; name one")
    return columns


def check_map(columns: Mapping[str, str]) -> None:
    """Raise InvoiceError for a map that names an unknown field."""
    unknown = sorted(columns.keys() - set(FIELDS) - {"lines"})
    if unknown:
        raise InvoiceError(f"{unknown[0][:40]!r} is not a field of a line; the fields are {', '.join(FIELDS)}")

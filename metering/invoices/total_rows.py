"""Rows that are the sum of others: totals and subtotals, which would bill the same usage twice.

A row is left out if it is labeled as a total and its amount is the sum of other lines, or if it states nothing but an amount
that is that sum. A row that is the sum of others without either, or that has the label and another amount, is doubtful: the
document is refused, and the caller decides whether such rows are left out or billed. Nothing is left out without being named.
"""

from msgspec import Struct

from metering.domain.reconciliation.invoices import ExcludedInvoiceRow, InvoiceError, InvoiceLine, InvoiceLineKind
from metering.invoices.amounts import AmountReader
from metering.invoices.line_sums import LineSums, Match
from metering.invoices.reading import EXCLUDE, KEEP
from metering.invoices.total_labels import without_label
from pricing.dollars import display_nano

MAX_DOUBTS = 1_000
_MIN_DIGITS = 3
_MIN_SUMMED = 2


class RowLabel(Struct, frozen=True):
    """The label of a row. ``is_certain``: it is in a mapped column, so it is not a description of ordinary usage."""

    text: str
    is_certain: bool


class _Doubt(Struct):
    """A row that may be a sum of others: the line, its label, and the sums when it was read."""

    line: InvoiceLine
    label: str
    seen: int
    """How many lines were above it."""
    before: int
    """The sum of the lines above it."""
    why: str = ""


class TotalRows:
    """Separates lines from rows that are sums of lines, as they are read.

    ``mode`` is one of TOTAL_ROWS; ``amounts`` has read the amount of the row that is taken.
    """

    def __init__(self, mode: str, amounts: AmountReader) -> None:
        self.excluded: list[ExcludedInvoiceRow] = []
        self._mode = mode
        self._amounts = amounts
        self._sums = LineSums()
        self._doubts: list[_Doubt] = []
        self._common = -1
        self._last: InvoiceLine | None = None

    def take(self, line: InvoiceLine, label: RowLabel | None) -> InvoiceLine | None:
        """Add a row; return the line before it, which is now known to be one. None if there is none."""
        if self._mode == KEEP:
            return line
        known, self._last = self._last, None
        mask = (
            (1 if line.request_id else 0)
            | (2 if line.session else 0)
            | (4 if line.provider else 0)
            | (8 if line.model else 0)
            | (0 if line.day is None else 16)
        )
        common = mask if self._common == -1 else self._common
        lacks = common & ~mask and line.amount_nano != 0
        if (label is not None or lacks) and line.kind == InvoiceLineKind.USAGE:
            about = "" if label is None else without_label(label.text)
            match = self._sums.match(line, self._amounts.last_unit_nano, self._amounts.unit_nano, about)
            if label is not None and (label.is_certain or lacks):
                self._take_labeled(line, label, match)
                return known
            if lacks and match is not None and self._take_incomplete(line, mask, match):
                return known
        self._last = line
        self._common = common & mask
        self._sums.add(line)
        return known

    def finish(self) -> InvoiceLine | None:
        """Return the last line. Raises InvoiceError if a row may be a sum of others and the caller has not decided."""
        if not self._sums.lines and len(self._doubts) == 1:
            # A document whose only row is labeled as the total.
            return self._doubts.pop().line
        for doubt in self._doubts:
            self._settle(doubt)
        last = self._last
        others = 0 if last is None else self._sums.so_far(last)[0] - 1
        if last is not None and self._is_sum_of_the_rest(last, others):
            doubt = _Doubt(last, "", 0, 0, why=f"its amount is the sum of all {others:,} other lines")
            self._settle(doubt)
            last = None
        self.excluded.sort(key=lambda each: each.line)
        return last

    def _take_labeled(self, line: InvoiceLine, label: RowLabel, match: Match | None) -> None:
        if match is not None:
            self._exclude(line, f"labeled {label.text[:40]!r}, and the sum of {_counted(match.lines)}")
        else:
            self._doubt(_Doubt(line, label.text, *self._sums.so_far(line)))
        self._sums.mark_boundary()

    def _take_incomplete(self, line: InvoiceLine, mask: int, match: Match) -> bool:
        """Handle a row that states less than all others and is their sum; return whether it is no line."""
        if mask == 0 and match.is_exact and match.lines >= _MIN_SUMMED:
            self._exclude(line, f"it states nothing but an amount, which is the sum of {_counted(match.lines)}")
        elif mask == 0 or match.is_exact:
            why = f"it states less than the other lines, and its amount is the sum of {_counted(match.lines)}"
            self._doubt(_Doubt(line, "", *self._sums.so_far(line), why=why))
        else:
            return False
        self._sums.mark_boundary()
        return True

    def _doubt(self, doubt: _Doubt) -> None:
        if len(self._doubts) < MAX_DOUBTS:
            self._doubts.append(doubt)
        else:
            self._settle(doubt)

    def _settle(self, doubt: _Doubt) -> None:
        """Decide about a row after all others were read: a total can be above its lines. Raises InvoiceError."""
        if not doubt.why:
            lines = self._sums.match_below(doubt.line, doubt.before, doubt.seen, without_label(doubt.label))
            if lines:
                self._exclude(doubt.line, f"labeled {doubt.label[:40]!r}, and the sum of {_counted(lines)}")
                return
            doubt.why = f"it is labeled {doubt.label[:40]!r}, but it is not the sum of other lines"
        if self._mode == EXCLUDE:
            self._exclude(doubt.line, doubt.why)
            return
        raise InvoiceError(
            f"line {doubt.line.position}{_amount_of(doubt.line)}: {doubt.why}; state whether such rows are left out or billed"
            " (--total-rows exclude or keep; over HTTP total_rows=exclude or keep)",
            "ambiguous_total_rows",
        )

    def _exclude(self, line: InvoiceLine, reason: str) -> None:
        self.excluded.append(ExcludedInvoiceRow(line.position, line.amount_nano, reason))

    def _is_sum_of_the_rest(self, last: InvoiceLine, others: int) -> bool:
        """Return whether the last line could be an unlabeled total: short amounts are sums of others by accident."""
        amount = last.amount_nano
        if last.request_id or last.kind != InvoiceLineKind.USAGE or others < _MIN_SUMMED or not amount:
            return False
        return 2 * amount == self._sums.so_far(last)[1] and len(str(abs(amount)).rstrip("0")) >= _MIN_DIGITS


def _amount_of(line: InvoiceLine) -> str:
    return "" if line.amount_nano is None else f", {display_nano(line.amount_nano)} USD"


def _counted(lines: int) -> str:
    return f"{lines:,} lines" if lines != 1 else "the one line it is about"

"""A statement as PDF: the same as the page of HTML, on paper, with its digest on every page.

ReportLab and not a renderer of HTML: it needs no libraries of the system, and ten thousand lines take seconds, not minutes.
"""

import io
from collections.abc import Iterable, Iterator
from functools import partial

from metering.domain.statements.month_detail import MonthDetail
from metering.exports.pdf_sheet import BOLD, FIXED, INK, LEFT, MARK, RIGHT, SOFT, PdfPages, fitting, folded
from metering.exports.printed_statement import CLOSING_WORDS, Bill, BillRow, ModelRows, OutsideRow, bill_of
from pricing.dollars import with_dollar_sign

_POINT = RIGHT - 60  # decimal points stand below each other here
_RATE, _PRICE, _QUANTITY = _POINT - 56, _POINT - 88, _POINT - 180
_ITEM = LEFT + 10
_ITEM_WIDTH = 172
_STEP = 13.5
_CHUNK = 1 << 16


def statement_pdf(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as PDF. It is laid out twice: a page says how many there are."""
    bill = bill_of(detail.statement)
    pages = _print(bill, io.BytesIO(), pages=0)
    paper = io.BytesIO()
    _print(bill, paper, pages=pages)
    content = paper.getbuffer()
    for start in range(0, len(content), _CHUNK):
        yield bytes(content[start : start + _CHUNK])


def _print(bill: Bill, file: io.BytesIO, *, pages: int) -> int:
    sheet = PdfPages(file, f"Statement of {bill.account}, {bill.month}", partial(_furnish, bill, pages))
    _head(sheet, bill)
    _summary(sheet, bill)
    _usage(sheet, bill.usage, "Usage", bill.usage_amount)
    _others(sheet, bill)
    if bill.owed:
        _title(sheet, "Owed to partners", "on your own keys with them, not in the total")
        _usage(sheet, bill.owed, "Owed to partners", bill.owed_amount)
    _outside(sheet, "Usage without a price", bill.unpriced)
    _outside(sheet, "Usage that nobody is known to bill", bill.route_unknown)
    _foot(sheet, bill)
    return sheet.finish()


def _furnish(bill: Bill, pages: int, sheet: PdfPages, page: int) -> None:
    """Draw what every page has: what it belongs to, its number, the digest, and that a draft is one."""
    if bill.is_draft:
        canvas = sheet.canvas
        canvas.saveState()
        canvas.setFillColor(SOFT, alpha=0.07)
        canvas.setFont(BOLD, 150)
        canvas.translate(RIGHT / 2 + 24, 400)
        canvas.rotate(52)
        canvas.drawCentredString(0, -50, "DRAFT")
        canvas.restoreState()
    sheet.y = 34
    sheet.write(LEFT, f"{bill.account}, {bill.month}, {'draft' if bill.is_draft else bill.status}", size=7.5, color=SOFT)
    sheet.write_before(RIGHT, f"Page {page} of {pages}", size=7.5, color=SOFT)
    if bill.digest:
        sheet.y = 24
        sheet.write(LEFT, f"SHA-256 {bill.digest}", size=6.5, font=FIXED, color=SOFT)


def _head(sheet: PdfPages, bill: Bill) -> None:
    sheet.write(LEFT, "S T A T E M E N T", size=7.5, color=SOFT)
    sheet.write_before(RIGHT, "Total payable", size=8.5, color=SOFT)
    sheet.down(24)
    sheet.write_before(RIGHT, bill.total, size=20, font=BOLD)
    sheet.paragraph(LEFT, bill.account, RIGHT - LEFT - 170, size=20, font=BOLD)
    sheet.down(17)
    sheet.write(LEFT, bill.month, size=12, color=SOFT)
    sheet.down(12)
    sheet.rule(color=INK, thickness=1.4)
    sheet.down(18)
    state = ("Draft: it still changes", MARK) if bill.is_draft else (f"Closed {bill.closed}", INK)
    facts = (("Status", *state), ("Period", bill.period, INK), ("Plan", bill.plan, INK))
    for at, (name, value, color) in zip((LEFT, LEFT + 150, LEFT + 330), facts, strict=True):
        sheet.write(at, name, size=7.5, color=SOFT)
        sheet.down(12)
        sheet.write(at, value, size=9, color=color)
        sheet.down(-12)
    sheet.down(26)


def _summary(sheet: PdfPages, bill: Bill) -> None:
    figures = [*((name, with_dollar_sign(amount)) for name, amount in bill.summary), ("Total", bill.total)]
    sheet.band(44)
    sheet.down(17)
    each = (RIGHT - LEFT - 28) / len(figures)
    for number, (name, amount) in enumerate(figures):
        at = LEFT + 14 + number * each
        sheet.write(at, name, size=7.5, color=SOFT)
        sheet.down(14)
        sheet.write(at, amount, size=fitting(amount, each - 10, 10, BOLD), font=BOLD)
        sheet.down(-14)
    sheet.down(48)


def _usage(sheet: PdfPages, models: Iterable[ModelRows], name: str, amount: str) -> None:
    if not models:
        return
    sheet.room(4 * _STEP)
    _usage_head(sheet)
    for model in models:
        if sheet.room(3 * _STEP):
            _usage_head(sheet)
        sheet.down(6)
        _figure(sheet, model.amount, font=BOLD)
        sheet.paragraph(LEFT, f"{model.model} at {model.provider}", _RATE - LEFT, font=BOLD)
        sheet.rule(above=-4)
        sheet.down(_STEP + 2)
        for row in model.rows:
            _usage_row(sheet, row)
    sheet.room(_STEP)
    sheet.rule(color=INK, above=9)
    sheet.down(4)
    sheet.write(LEFT, name, font=BOLD)
    _figure(sheet, amount, font=BOLD)
    sheet.down(_STEP + 6)


def _usage_head(sheet: PdfPages) -> None:
    for at, heading in ((_QUANTITY, "Quantity"), (_PRICE, "Price"), (_RATE, "Rate"), (RIGHT, "USD")):
        sheet.write_before(at, heading, size=7.5, color=SOFT)
    sheet.write(LEFT, "Item", size=7.5, color=SOFT)
    sheet.rule(above=-4)
    sheet.down(_STEP)


def _usage_row(sheet: PdfPages, row: BillRow) -> None:
    lines = folded(row.what, _ITEM_WIDTH)
    if sheet.room(_STEP * (len(lines) + bool(row.corrects))):
        _usage_head(sheet)
    sheet.write_before(_QUANTITY, row.quantity)
    sheet.write_before(_PRICE, row.price)
    sheet.write_before(_RATE, row.rate, size=7.5, color=SOFT)
    _figure(sheet, row.amount)
    sheet.paragraph(_ITEM, row.what, _ITEM_WIDTH)
    if row.corrects:
        sheet.down(10)
        sheet.write(_ITEM, row.corrects, size=7.5, color=MARK)
    sheet.down(_STEP)


def _figure(sheet: PdfPages, amount: str, *, font: str = "Helvetica") -> None:
    """Write an amount around the column of decimal points; past cents its digits are lighter."""
    whole, point, decimals = amount.partition(".")
    if not point:
        sheet.write_before(RIGHT, amount, font=font)
        return
    sheet.write_around(_POINT, f"{whole}.", decimals[:2], decimals[2:], font=font)


def _others(sheet: PdfPages, bill: Bill) -> None:
    for heading, rows in bill.others:
        for row in rows:
            sheet.room(2 * _STEP)
            sheet.write(LEFT, heading, color=SOFT)
            _figure(sheet, row.amount)
            corrects = f" ({row.corrects})" if row.corrects else ""
            sheet.paragraph(LEFT + 96, row.what + corrects, _RATE - LEFT - 96)
            sheet.down(_STEP)
    sheet.room(2 * _STEP)
    sheet.down(2)
    sheet.rule(color=INK, thickness=1.4, above=10)
    sheet.down(8)
    sheet.write(LEFT, "Total payable", size=12, font=BOLD)
    sheet.write_before(RIGHT, bill.total, size=12, font=BOLD)
    sheet.down(2 * _STEP)


def _title(sheet: PdfPages, title: str, remark: str) -> None:
    sheet.room(6 * _STEP)
    sheet.down(10)
    sheet.write(LEFT, title, size=10, font=BOLD)
    sheet.write_before(RIGHT, remark, size=8, color=SOFT)
    sheet.down(_STEP + 4)


def _outside(sheet: PdfPages, title: str, rows: tuple[OutsideRow, ...]) -> None:
    if not rows:
        return
    _title(sheet, title, "not in the total")
    for at, heading in ((_QUANTITY + 40, "Requests"), (_RATE, "Tokens"), (RIGHT, "USD")):
        sheet.write_before(at, heading, size=7.5, color=SOFT)
    sheet.write(LEFT, "Model", size=7.5, color=SOFT)
    sheet.rule(above=-4)
    sheet.down(_STEP)
    for row in rows:
        sheet.room(2 * _STEP)
        sheet.write_before(_QUANTITY + 40, row.requests)
        sheet.write_before(_RATE, row.tokens)
        _figure(sheet, row.amount)
        sheet.paragraph(LEFT, f"{row.model} at {row.provider}", _ITEM_WIDTH + 20)
        sheet.down(_STEP)


def _foot(sheet: PdfPages, bill: Bill) -> None:
    sheet.room(5 * _STEP)
    sheet.down(8)
    sheet.rule(above=12)
    for text in (bill.requests, *bill.notes):
        sheet.room(_STEP)
        sheet.paragraph(LEFT, text, RIGHT - LEFT, size=8, color=SOFT)
        sheet.down(11)
    sheet.room(_STEP)
    sheet.write(LEFT, CLOSING_WORDS, size=8, color=SOFT)
    sheet.down(11)
    if bill.rates:
        sheet.room(3 * _STEP)
        sheet.down(6)
        sheet.write(LEFT, "Where the prices were read, by rate", size=8, font=BOLD, color=SOFT)
        sheet.down(11)
    for number, source in bill.rates:
        sheet.room(_STEP)
        sheet.write(LEFT, number, size=7.5, font=BOLD, color=SOFT)
        sheet.paragraph(LEFT + 36, source, RIGHT - LEFT - 36, size=7.5, color=SOFT)
        sheet.down(10)

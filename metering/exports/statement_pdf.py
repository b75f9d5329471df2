"""A statement as PDF: the content of the HTML page, with the digest on every page.

Drawn with ReportLab because it needs no system libraries; rendering HTML with ten thousand lines would take minutes.
"""

import io
from collections.abc import Iterable, Iterator
from functools import partial

from metering.domain.statements.month_detail import MonthDetail
from metering.exports.pdf_sheet import BOLD, FIXED, INK, LEFT, MARK, RIGHT, SOFT, PdfPages, fitting, wrapped_lines
from metering.exports.printed_statement import (
    FOOTER,
    PRICE_SOURCES,
    ExcludedSection,
    ModelLines,
    PrintedLine,
    PrintedStatement,
    printed_statement,
)

_POINT = RIGHT - 60  # the decimal points of amounts align here
_RATE, _PRICE, _QUANTITY = _POINT - 56, _POINT - 88, _POINT - 180
_ITEM = LEFT + 10
_ITEM_WIDTH = 172
_STEP = 13.5
_CHUNK = 1 << 16


def statement_pdf(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as PDF. It is laid out twice, because every page states the number of pages."""
    statement = printed_statement(detail.statement)
    pages = _print(statement, io.BytesIO(), pages=0)
    file = io.BytesIO()
    _print(statement, file, pages=pages)
    content = file.getbuffer()
    for start in range(0, len(content), _CHUNK):
        yield bytes(content[start : start + _CHUNK])


def _print(statement: PrintedStatement, file: io.BytesIO, *, pages: int) -> int:
    """Draw the statement into a file; return the number of pages."""
    sheet = PdfPages(file, f"Statement of {statement.account}, {statement.month}", partial(_decorate, statement, pages))
    _head(sheet, statement)
    _summary(sheet, statement)
    _usage(sheet, statement.usage, "Usage", statement.usage_amount)
    _others(sheet, statement)
    if statement.owed is not None:
        _section_title(sheet, statement.owed.title, statement.owed.subtitle)
        _usage(sheet, statement.owed.models, statement.owed.title, statement.owed.amount)
    for section in statement.excluded:
        _excluded(sheet, section)
    _foot(sheet, statement)
    return sheet.finish()


def _decorate(statement: PrintedStatement, pages: int, sheet: PdfPages, page: int) -> None:
    """Draw the footer of a page, and the watermark of a draft."""
    if statement.is_draft:
        canvas = sheet.canvas
        canvas.saveState()
        canvas.setFillColor(SOFT, alpha=0.07)
        canvas.setFont(BOLD, 150)
        canvas.translate(RIGHT / 2 + 24, 400)
        canvas.rotate(52)
        canvas.drawCentredString(0, -50, "DRAFT")
        canvas.restoreState()
    sheet.y = 34
    status = "draft" if statement.is_draft else statement.status
    sheet.write(LEFT, f"{statement.account}, {statement.month}, {status}", size=7.5, color=SOFT)
    sheet.write_right(RIGHT, f"Page {page} of {pages}", size=7.5, color=SOFT)
    if statement.digest:
        sheet.y = 24
        sheet.write(LEFT, f"SHA-256 {statement.digest}", size=6.5, font=FIXED, color=SOFT)


def _head(sheet: PdfPages, statement: PrintedStatement) -> None:
    sheet.write(LEFT, "S T A T E M E N T", size=7.5, color=SOFT)
    sheet.write_right(RIGHT, "Total payable", size=8.5, color=SOFT)
    sheet.move_down(24)
    sheet.write_right(RIGHT, statement.total, size=20, font=BOLD)
    sheet.paragraph(LEFT, statement.account, RIGHT - LEFT - 170, size=20, font=BOLD)
    sheet.move_down(17)
    sheet.write(LEFT, statement.month, size=12, color=SOFT)
    sheet.move_down(12)
    sheet.rule(color=INK, thickness=1.4)
    sheet.move_down(18)
    facts = (
        ("Status", statement.state, MARK if statement.is_draft else INK),
        ("Period", statement.period, INK),
        ("Plan", statement.plan, INK),
    )
    for at, (name, value, color) in zip((LEFT, LEFT + 150, LEFT + 330), facts, strict=True):
        sheet.write(at, name, size=7.5, color=SOFT)
        sheet.move_down(12)
        sheet.write(at, value, size=9, color=color)
        sheet.move_down(-12)
    sheet.move_down(26)


def _summary(sheet: PdfPages, statement: PrintedStatement) -> None:
    figures = [*statement.summary, ("Total", statement.total)]
    sheet.band(44)
    sheet.move_down(17)
    width = (RIGHT - LEFT - 28) / len(figures)
    for number, (name, amount) in enumerate(figures):
        at = LEFT + 14 + number * width
        sheet.write(at, name, size=7.5, color=SOFT)
        sheet.move_down(14)
        sheet.write(at, amount, size=fitting(amount, width - 10, 10, BOLD), font=BOLD)
        sheet.move_down(-14)
    sheet.move_down(48)


def _usage(sheet: PdfPages, models: Iterable[ModelLines], name: str, amount: str) -> None:
    if not models:
        return
    sheet.ensure_space(4 * _STEP)
    _usage_head(sheet)
    for model in models:
        if sheet.ensure_space(3 * _STEP):
            _usage_head(sheet)
        sheet.move_down(6)
        _amount(sheet, model.amount, font=BOLD)
        sheet.paragraph(LEFT, f"{model.model} at {model.provider}", _RATE - LEFT, font=BOLD)
        sheet.rule(above=-4)
        sheet.move_down(_STEP + 2)
        for line in model.lines:
            _usage_line(sheet, line)
    sheet.ensure_space(_STEP)
    sheet.rule(color=INK, above=9)
    sheet.move_down(4)
    sheet.write(LEFT, name, font=BOLD)
    _amount(sheet, amount, font=BOLD)
    sheet.move_down(_STEP + 6)


def _usage_head(sheet: PdfPages) -> None:
    for at, heading in ((_QUANTITY, "Quantity"), (_PRICE, "Price"), (_RATE, "Rate"), (RIGHT, "USD")):
        sheet.write_right(at, heading, size=7.5, color=SOFT)
    sheet.write(LEFT, "Item", size=7.5, color=SOFT)
    sheet.rule(above=-4)
    sheet.move_down(_STEP)


def _usage_line(sheet: PdfPages, line: PrintedLine) -> None:
    rows = wrapped_lines(line.item, _ITEM_WIDTH)
    if sheet.ensure_space(_STEP * (len(rows) + bool(line.correction))):
        _usage_head(sheet)
    sheet.write_right(_QUANTITY, line.quantity)
    sheet.write_right(_PRICE, line.price)
    sheet.write_right(_RATE, line.rate, size=7.5, color=SOFT)
    _amount(sheet, line.amount)
    sheet.paragraph(_ITEM, line.item, _ITEM_WIDTH)
    if line.correction:
        sheet.move_down(10)
        sheet.write(_ITEM, line.correction, size=7.5, color=MARK)
    sheet.move_down(_STEP)


def _amount(sheet: PdfPages, amount: str, *, font: str = "Helvetica") -> None:
    """Write an amount with its decimal point in line with the others; digits past cents are gray."""
    whole, point, decimals = amount.partition(".")
    if not point:
        sheet.write_right(RIGHT, amount, font=font)
        return
    sheet.write_amount(_POINT, f"{whole}.", decimals[:2], decimals[2:], font=font)


def _others(sheet: PdfPages, statement: PrintedStatement) -> None:
    for heading, line in statement.others:
        sheet.ensure_space(2 * _STEP)
        sheet.write(LEFT, heading, color=SOFT)
        _amount(sheet, line.amount)
        correction = f" ({line.correction})" if line.correction else ""
        sheet.paragraph(LEFT + 96, line.item + correction, _RATE - LEFT - 96)
        sheet.move_down(_STEP)
    sheet.ensure_space(2 * _STEP)
    sheet.move_down(2)
    sheet.rule(color=INK, thickness=1.4, above=10)
    sheet.move_down(8)
    sheet.write(LEFT, "Total payable", size=12, font=BOLD)
    sheet.write_right(RIGHT, statement.total, size=12, font=BOLD)
    sheet.move_down(2 * _STEP)


def _section_title(sheet: PdfPages, title: str, subtitle: str) -> None:
    sheet.ensure_space(6 * _STEP)
    sheet.move_down(10)
    sheet.write(LEFT, title, size=10, font=BOLD)
    sheet.write_right(RIGHT, subtitle, size=8, color=SOFT)
    sheet.move_down(_STEP + 4)


def _excluded(sheet: PdfPages, section: ExcludedSection) -> None:
    _section_title(sheet, section.title, section.subtitle)
    for at, heading in ((_QUANTITY + 40, "Requests"), (_RATE, "Tokens"), (RIGHT, "USD")):
        sheet.write_right(at, heading, size=7.5, color=SOFT)
    sheet.write(LEFT, "Model", size=7.5, color=SOFT)
    sheet.rule(above=-4)
    sheet.move_down(_STEP)
    for row in section.rows:
        sheet.ensure_space(2 * _STEP)
        sheet.write_right(_QUANTITY + 40, row.requests)
        sheet.write_right(_RATE, row.tokens)
        _amount(sheet, row.amount)
        sheet.paragraph(LEFT, f"{row.model} at {row.provider}", _ITEM_WIDTH + 20)
        sheet.move_down(_STEP)


def _foot(sheet: PdfPages, statement: PrintedStatement) -> None:
    sheet.ensure_space(5 * _STEP)
    sheet.move_down(8)
    sheet.rule(above=12)
    for text in (statement.requests, *(note.text for note in statement.notes)):
        sheet.ensure_space(_STEP)
        sheet.paragraph(LEFT, text, RIGHT - LEFT, size=8, color=SOFT)
        sheet.move_down(11)
    sheet.ensure_space(_STEP)
    sheet.write(LEFT, FOOTER, size=8, color=SOFT)
    sheet.move_down(11)
    if statement.rates:
        sheet.ensure_space(3 * _STEP)
        sheet.move_down(6)
        sheet.write(LEFT, f"{PRICE_SOURCES}, by rate", size=8, font=BOLD, color=SOFT)
        sheet.move_down(11)
    for rate, source in statement.rates:
        sheet.ensure_space(_STEP)
        sheet.write(LEFT, rate, size=7.5, font=BOLD, color=SOFT)
        sheet.paragraph(LEFT + 36, source, RIGHT - LEFT - 36, size=7.5, color=SOFT)
        sheet.move_down(10)

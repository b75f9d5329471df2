"""A statement as a workbook: the rows and columns of the CSV with types, so that a spreadsheet can add and filter them.

A spreadsheet keeps fifteen digits of a number. ``amount_usd`` is such a number; ``amount_usd_exact`` has all twelve decimals as
text. Every text is a string cell, whatever it starts with: no cell is a formula.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any

import xlsxwriter

from metering.domain.instants import format_month
from metering.domain.statements.month_detail import MonthDetail
from metering.exports.csv_text import Cell
from metering.exports.statement_csv import COLUMNS, statement_rows

EXACT = "amount_usd_exact"

_READ_BYTES = 1 << 16
_OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_NUMBERS = {
    "schema_version": "0", "quantity": "#,##0", "price_usd": "0.00##########", "price_per": "#,##0",
    "amount_usd": "#,##0.00##########", "rate_id": "0",
}  # fmt: skip
_WIDTHS = {"description": 52, "model": 36, "price_source": 40, "amount_usd": 18, EXACT: 20, "digest": 66}
# A fixed creation time: the same statement gives the same bytes.
_CREATED = datetime(2020, 1, 1)  # noqa: DTZ001 - the library wants a naive time
_AMOUNT = COLUMNS.index("amount_usd")


def statement_xlsx(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as a workbook."""
    with TemporaryFile() as file:
        book = xlsxwriter.Workbook(file, _OPTIONS)
        book.set_properties({"title": f"Statement of {format_month(detail.statement.month)}", "created": _CREATED})
        _write(book, detail)
        book.close()
        file.seek(0)
        while piece := file.read(_READ_BYTES):
            yield piece


def _write(book: Any, detail: MonthDetail) -> None:
    sheet = book.add_worksheet(format_month(detail.statement.month))
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {name: book.add_format({"num_format": shape}) for name, shape in _NUMBERS.items()}
    header = _with_exact(COLUMNS, EXACT)
    for column, name in enumerate(header):
        sheet.set_column(column, column, _WIDTHS.get(str(name), 14))
        sheet.write_string(0, column, str(name), bold)
    sheet.freeze_panes(1, 0)
    number = 0
    for number, row in enumerate(statement_rows(detail.statement, str), 1):
        for column, (name, cell) in enumerate(zip(header, _with_exact(row, row[_AMOUNT]), strict=True)):
            if cell in ("", None):
                continue
            if name in formats:
                sheet.write_number(number, column, Decimal(str(cell)), formats[name])
            else:
                sheet.write_string(number, column, str(cell))
    sheet.autofilter(0, 0, number, len(header) - 1)


def _with_exact(cells: tuple[Cell, ...], exact: Cell) -> tuple[Cell, ...]:
    return (*cells[: _AMOUNT + 1], exact, *cells[_AMOUNT + 1 :])

"""A statement as one HTML page to read and print: no scripts, nothing fetched, every name escaped."""

from collections.abc import Iterator

from metering.domain.statements.month_detail import MonthDetail
from metering.exports.pages import render_page
from metering.exports.printed_statement import FOOTER, PRICE_SOURCES, printed_statement


def statement_html(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as a page."""
    return render_page(
        "statement.html", statement=printed_statement(detail.statement), price_sources=PRICE_SOURCES, footer=FOOTER
    )

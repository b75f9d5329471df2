"""A statement as CSV: one row per line, amounts in dollars with twelve decimals.

The ``payable`` rows above the total add up to it exactly. Usage that is excluded from the total follows, under its own
``section``. docs/exports.md describes each column.
"""

from collections.abc import Callable, Iterable, Iterator

from metering.domain.instants import format_instant, format_month
from metering.domain.statements.month_detail import MonthDetail, Section
from metering.domain.statements.statements import ExcludedUsage, Statement, StatementLine, unit_of
from metering.exports.csv_text import Cell, csv_chunks, escape_formula
from pricing.dollars import format_nano, format_pico
from pricing.quantities import ALL_KINDS, REQUESTS

SCHEMA_VERSION = 1
COLUMNS = (
    "schema_version", "account", "billing_month", "status", "section", "line", "origin_month", "description", "route",
    "provider", "model", "operation", "quantity_kind", "quantity", "unit", "price_usd", "price_per", "price_assumed",
    "amount_usd", "currency", "rate_id", "price_source", "closed_at", "digest",
)  # fmt: skip

CURRENCY = "USD"

Escape = Callable[[str], str]


def statement_csv(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as CSV."""
    return csv_chunks(COLUMNS, statement_rows(detail.statement, escape_formula))


def statement_rows(statement: Statement, escape: Escape) -> Iterator[tuple[Cell, ...]]:
    """Yield the rows under COLUMNS; ``escape`` makes text safe for the format."""
    head = (SCHEMA_VERSION, escape(statement.account), format_month(statement.month), statement.status)
    tail = ("" if statement.closed_at is None else format_instant(statement.closed_at), statement.digest)
    for section, lines in ((Section.PAYABLE, statement.lines), (Section.OWED_TO_PARTNER, statement.owed_to_partners)):
        for line in lines:
            yield (*head, section.value, *_line_cells(line, escape), *tail)
    for section, excluded in ((Section.UNPRICED, statement.unpriced), (Section.ROUTE_UNKNOWN, statement.route_unknown)):
        for usage in excluded:
            for cells in _excluded_cells(usage, escape):
                yield (*head, section.value, *cells, *tail)


def _line_cells(line: StatementLine, escape: Escape) -> tuple[Cell, ...]:
    priced = line.price_pico is not None
    return (
        line.kind.value,
        "" if line.origin_month is None else format_month(line.origin_month),
        escape(line.description),
        line.route,
        escape(line.provider),
        escape(line.model),
        escape(line.operation),
        line.quantity_kind,
        line.quantity,
        unit_of(line.quantity_kind) if line.quantity_kind else "",
        "" if line.price_pico is None else format_pico(line.price_pico),
        line.price_block if priced else "",
        bool_cell(line.price_assumed) if priced else "",
        "" if line.amount_pico is None else format_pico(line.amount_pico),
        CURRENCY,
        None if line.rate is None else line.rate.id,
        "" if line.rate is None else escape(line.rate.source),
    )


def _excluded_cells(usage: ExcludedUsage, escape: Escape) -> Iterable[tuple[Cell, ...]]:
    counts = [(REQUESTS, usage.events), *zip(ALL_KINDS, usage.quantities, strict=True)]
    for kind, quantity in counts:
        if quantity:
            amount = format_nano(usage.amount_nano) if usage.amount_nano is not None and kind == REQUESTS else ""
            yield (
                "usage", "", "not part of the total", usage.route, escape(usage.provider), escape(usage.model), "", kind,
                quantity, unit_of(kind), "", "", "", amount, CURRENCY, None, "",
            )  # fmt: skip


def bool_cell(value: bool) -> str:
    """Return a boolean as a cell."""
    return "true" if value else "false"

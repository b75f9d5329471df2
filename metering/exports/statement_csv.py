"""A statement as CSV: one row a line, amounts in dollars with all twelve decimals.

The amounts of all ``payable`` rows above the total add up to the total, exactly. Usage that the total does not contain
follows it, told apart by ``section``. docs/exports.md says what each column holds.
"""

from collections.abc import Callable, Iterable, Iterator

from metering.domain.instants import format_instant, format_month
from metering.domain.statements.month_detail import MonthDetail, Section
from metering.domain.statements.statements import OutsideUsage, Statement, StatementLine, unit_of
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

Text = Callable[[str], str]


def statement_csv(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the statement as CSV."""
    return csv_chunks(COLUMNS, statement_rows(detail.statement, escape_formula))


def statement_rows(statement: Statement, text: Text) -> Iterator[tuple[Cell, ...]]:
    """Yield the rows under COLUMNS; ``text`` makes names safe for where they are going."""
    head = (SCHEMA_VERSION, text(statement.account), format_month(statement.month), statement.status)
    tail = ("" if statement.closed_at is None else format_instant(statement.closed_at), statement.digest)
    for section, lines in ((Section.PAYABLE, statement.lines), (Section.OWED_TO_PARTNER, statement.owed_to_partners)):
        for line in lines:
            yield (*head, section.value, *_line_cells(line, text), *tail)
    for section, outside in ((Section.UNPRICED, statement.unpriced), (Section.ROUTE_UNKNOWN, statement.route_unknown)):
        for usage in outside:
            for cells in _outside_cells(usage, text):
                yield (*head, section.value, *cells, *tail)


def _line_cells(line: StatementLine, text: Text) -> tuple[Cell, ...]:
    priced = line.price_pico is not None
    return (
        line.kind.value,
        "" if line.origin_month is None else format_month(line.origin_month),
        text(line.description),
        line.route,
        text(line.provider),
        text(line.model),
        text(line.operation),
        line.quantity_kind,
        line.quantity,
        unit_of(line.quantity_kind) if line.quantity_kind else "",
        "" if line.price_pico is None else format_pico(line.price_pico),
        line.price_block if priced else "",
        yes_or_no(line.price_assumed) if priced else "",
        "" if line.amount_pico is None else format_pico(line.amount_pico),
        CURRENCY,
        None if line.rate is None else line.rate.id,
        "" if line.rate is None else text(line.rate.source),
    )


def _outside_cells(usage: OutsideUsage, text: Text) -> Iterable[tuple[Cell, ...]]:
    counts = [(REQUESTS, usage.events), *zip(ALL_KINDS, usage.quantities, strict=True)]
    for kind, quantity in counts:
        if quantity:
            amount = format_nano(usage.amount_nano) if usage.amount_nano is not None and kind == REQUESTS else ""
            yield (
                "usage", "", "not part of the total", usage.route, text(usage.provider), text(usage.model), "", kind, quantity,
                unit_of(kind), "", "", "", amount, CURRENCY, None, "",
            )  # fmt: skip


def yes_or_no(holds: bool) -> str:
    """Return a truth as a cell."""
    return "true" if holds else "false"

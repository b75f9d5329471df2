"""A statement as CSV (RFC 4180): one row a line, amounts in dollars with all twelve decimals.

The amounts of all rows between the header and the total add up to the total, exactly. Usage that the total does not contain
follows it, told apart by ``section``. Text that a spreadsheet would run as a formula gets an apostrophe in front.
"""

import csv
import io
from collections.abc import Iterable

from metering.domain.instants import format_month
from metering.domain.statements import OutsideUsage, Statement, StatementLine, unit_of
from pricing.money import format_nano, format_pico
from pricing.quantities import ALL_KINDS

COLUMNS = (
    "account", "billing_month", "status", "section", "line", "description", "route", "provider", "model",
    "quantity_kind", "quantity", "unit", "price_usd", "price_per", "amount_usd", "rate_id", "price_source",
)  # fmt: skip

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def statement_csv(statement: Statement) -> str:
    """Return the statement as CSV text with CRLF line ends."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    head = (_inert(statement.account), format_month(statement.month), statement.status)
    for line in statement.lines:
        writer.writerow((*head, "payable", *_line_cells(line)))
    for line in statement.owed_to_partners:
        writer.writerow((*head, "owed_to_partner", *_line_cells(line)))
    for section, outside in (("unpriced", statement.unpriced), ("route_unknown", statement.route_unknown)):
        writer.writerows((*head, section, *cells) for usage in outside for cells in _outside_cells(usage))
    return text.getvalue()


def _line_cells(line: StatementLine) -> tuple[object, ...]:
    price = "" if line.price_pico is None else format_pico(line.price_pico)
    return (
        line.kind.value,
        _inert(line.description),
        line.route,
        _inert(line.provider),
        _inert(line.model),
        line.quantity_kind,
        "" if line.quantity is None else line.quantity,
        unit_of(line.quantity_kind) if line.quantity_kind else "",
        price,
        line.price_block if price else "",
        "" if line.amount_pico is None else format_pico(line.amount_pico),
        "" if line.rate is None else line.rate.id,
        "" if line.rate is None else _inert(line.rate.source),
    )


def _outside_cells(usage: OutsideUsage) -> Iterable[tuple[object, ...]]:
    counts = [("requests", usage.events), *zip(ALL_KINDS, usage.quantities, strict=True)]
    for kind, quantity in counts:
        if quantity:
            amount = format_nano(usage.amount_nano) if usage.amount_nano is not None and kind == "requests" else ""
            yield (
                "usage", "not part of the total", usage.route, _inert(usage.provider), _inert(usage.model), kind, quantity,
                unit_of(kind), "", "", amount, "", "",
            )  # fmt: skip


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text

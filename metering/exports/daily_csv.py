"""The days behind a statement as CSV: one row a day, series, rate and kind of quantity.

The amounts of all ``payable`` rows add up to the statement's usage, exactly; where they would not, there is no file. A kind
of quantity that the rate does not price by itself (requests, most often) has no amount of its own, which is not 0.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from metering.domain.events import PriceGrade, QuantityGrade
from metering.domain.instants import date_of, format_month
from metering.domain.month_detail import DailyUsage, MonthDetail, Section, origin_month_of, section_of
from metering.domain.statements import LineKind, Statement, unit_of
from metering.exports.csv_text import Cell, csv_chunks, inert
from metering.exports.errors import ExportSumError
from metering.exports.statement_csv import CURRENCY, yes_or_no
from pricing.money import PICO_PER_NANO, format_pico
from pricing.quantities import ALL_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices

SCHEMA_VERSION = 1
COLUMNS = (
    "schema_version", "account", "billing_month", "status", "section", "day", "origin_month", "line", "route", "provider",
    "model", "operation", "project", "key", "tags", "quantity_kind", "quantity", "unit", "price_usd", "price_per",
    "price_assumed", "amount_usd", "currency", "rate_id", "price_source", "price_grade", "quantity_grade",
)  # fmt: skip

# Grades of which only the sum of a day's requests is known, and the line that it stands on.
_KNOWN_AS_A_WHOLE: dict[int, LineKind] = {PriceGrade.REPORTED: LineKind.REPORTED, PriceGrade.EXEMPT: LineKind.USAGE}

USAGE_LINES = (LineKind.USAGE, LineKind.ROUNDING, LineKind.REPORTED)


class _KindPrice(NamedTuple):
    """What a rate takes for a kind of quantity, and the same as cells."""

    pico: int
    block: int
    cells: tuple[Cell, ...]


_NO_PRICE: tuple[Cell, ...] = ("", "", "")


def daily_csv(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the days as CSV. Raises ExportSumError, at the end, where they do not add up to the statement."""
    return csv_chunks(COLUMNS, _rows(detail))


def usage_pico(statement: Statement) -> int:
    """Return what the statement's lines of usage come to."""
    return sum(line.amount_pico or 0 for line in statement.lines if line.kind in USAGE_LINES)


def _rows(detail: MonthDetail) -> Iterator[tuple[Cell, ...]]:
    statement = detail.statement
    head = (SCHEMA_VERSION, inert(statement.account), format_month(statement.month), statement.status)
    prices = {rate_id: _prices(rate) for rate_id, rate in detail.rates.items()}
    sources = {rate_id: inert(rate.source) for rate_id, rate in detail.rates.items()}
    payable_nano = 0
    for usage in detail.usage:
        section = section_of(usage)
        if section is Section.PAYABLE:
            payable_nano += usage.amount_nano
        origin = origin_month_of(usage, statement.month)
        front = (*head, section.value, date_of(usage.day).isoformat(), "" if origin is None else format_month(origin))
        names = (usage.route, *map(inert, usage[2:7]), inert(usage.tags))
        grades = (PriceGrade(usage.price_grade).name.lower(), QuantityGrade(usage.quantity_grade).name.lower())
        back = (CURRENCY, usage.rate_id or None, sources.get(usage.rate_id, ""), *grades)
        for line, cells in _lines(usage, prices.get(usage.rate_id, {})):
            yield (*front, line, *names, *cells, *back)
    _check_sum(statement, payable_nano * PICO_PER_NANO)


def _check_sum(statement: Statement, payable_pico: int) -> None:
    billed_pico = usage_pico(statement)
    if payable_pico != billed_pico:
        raise ExportSumError(
            f"the days of {statement.account[:80]!r} in {format_month(statement.month)} come to {format_pico(payable_pico)},"
            f" the usage on the statement to {format_pico(billed_pico)}; `metering verify` says what differs"
        )


def _lines(usage: DailyUsage, prices: Mapping[str, _KindPrice]) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    """Yield (line, cells from quantity_kind to amount_usd) of a day's usage; they add up to its amount."""
    known_as_a_whole = _KNOWN_AS_A_WHOLE.get(usage.price_grade)
    left = usage.amount_nano * PICO_PER_NANO
    for kind, quantity in ((REQUESTS, usage.events), *zip(ALL_KINDS, usage.quantities, strict=True)):
        if not quantity:
            continue
        price = prices.get(kind)
        if price is not None:
            amount = quantity * price.pico // price.block
            left -= amount
            yield LineKind.USAGE.value, (kind, quantity, unit_of(kind), *price.cells, format_pico(amount))
        elif known_as_a_whole is not None and kind == REQUESTS:
            yield known_as_a_whole.value, (kind, quantity, unit_of(kind), *_NO_PRICE, format_pico(left))
            left = 0
        else:
            yield LineKind.USAGE.value, (kind, quantity, unit_of(kind), *_NO_PRICE, "")
    if left:
        yield LineKind.ROUNDING.value, ("", None, "", *_NO_PRICE, format_pico(left))


def _prices(rate: Rate) -> dict[str, _KindPrice]:
    assumed = assumed_cache_prices(rate.prices)
    return {
        kind: _KindPrice(price.pico, price.block, (format_pico(price.pico), price.block, yes_or_no(kind in assumed)))
        for kind, price in {**rate.prices, **assumed}.items()
    }

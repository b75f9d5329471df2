"""The days behind a statement as CSV: one row per day, series, rate and kind of quantity.

The ``payable`` rows add up to the statement's usage exactly; otherwise no file is written. A kind of quantity that the rate
does not price (usually requests) has an empty amount, not 0.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from metering.domain.instants import date_of, format_month
from metering.domain.statements.month_detail import (
    DailyUsage,
    MonthDetail,
    Section,
    by_series,
    origin_month_of,
    section_of,
)
from metering.domain.statements.statements import Statement, StatementLineKind, unit_of
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.exports.csv_text import csv_fields, escape_formula, joined_chunks
from metering.exports.errors import ExportSumError
from metering.exports.statement_csv import CURRENCY, bool_cell
from pricing.dollars import format_pico
from pricing.money import PICO_PER_NANO
from pricing.quantities import ALL_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices

SCHEMA_VERSION = 1
COLUMNS = (
    "schema_version", "account", "billing_month", "status", "section", "day", "origin_month", "line", "route", "provider",
    "model", "operation", "project", "key", "tags", "quantity_kind", "quantity", "unit", "price_usd", "price_per",
    "price_assumed", "amount_usd", "currency", "rate_id", "price_source", "price_grade", "quantity_grade",
)  # fmt: skip

# Grades where only a day's total amount is known, and the kind of line that has it.
_LINE_OF_TOTAL: dict[int, StatementLineKind] = {
    PriceGrade.REPORTED: StatementLineKind.REPORTED,
    PriceGrade.EXEMPT: StatementLineKind.USAGE,
    PriceGrade.GATEWAY_CACHE: StatementLineKind.USAGE,
}

_USAGE_LINES = (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED)


class _PricedKind(NamedTuple):
    """A kind of quantity of one series under one rate: its price, and the CSV around its quantity and amount."""

    price_pico: int | None
    price_block: int
    names: str
    prices: str


class _SeriesCells(NamedTuple):
    """The CSV that all days of one series under one rate share."""

    section: Section
    kinds: tuple[_PricedKind, ...]
    rounding: str
    total: str
    after: str


def daily_csv(detail: MonthDetail) -> Iterator[bytes]:
    """Yield the days as CSV. Raises ExportSumError at the end if they do not add up to the statement."""
    return joined_chunks(COLUMNS, _lines(detail))


def _lines(detail: MonthDetail) -> Iterator[str]:
    statement = detail.statement
    before = csv_fields((SCHEMA_VERSION, escape_formula(statement.account), format_month(statement.month), statement.status))
    payable_nano = 0
    for days in by_series(detail.usage):
        shared = _series_cells(days[0], detail.rates)
        for usage in days:
            if shared.section is Section.PAYABLE:
                payable_nano += usage.amount_nano
            origin = origin_month_of(usage, statement.month)
            day = f"{date_of(usage.day).isoformat()},{'' if origin is None else format_month(origin)}"
            front = f"{before},{shared.section.value},{day}"
            for names, quantity, prices, amount in _cells(usage, shared):
                yield f"{front},{names},{quantity},{prices},{amount},{shared.after}"
    _check_sum(statement, payable_nano * PICO_PER_NANO)


def _cells(usage: DailyUsage, shared: _SeriesCells) -> Iterator[tuple[str, int | str, str, str]]:
    """Yield (names, quantity, prices, amount) of a day's lines; the amounts add up to its charges."""
    rest = usage.amount_nano * PICO_PER_NANO
    requests, *kinds = shared.kinds
    if shared.total:
        yield shared.total, usage.events, requests.prices, format_pico(rest)
        rest = 0
        counted = zip(kinds, usage.quantities, strict=True)
    else:
        counted = zip(shared.kinds, (usage.events, *usage.quantities), strict=True)
    for kind, quantity in counted:
        if not quantity:
            continue
        if kind.price_pico is None:
            yield kind.names, quantity, kind.prices, ""
        else:
            amount = quantity * kind.price_pico // kind.price_block
            rest -= amount
            yield kind.names, quantity, kind.prices, format_pico(amount)
    if rest:
        yield shared.rounding, "", ",,,", format_pico(rest)


def _series_cells(first: DailyUsage, rates: Mapping[int, Rate]) -> _SeriesCells:
    rate = rates.get(first.rate_id)
    names = (
        first.route,
        *map(escape_formula, (first.provider, first.model, first.operation, first.project, first.key, first.tags)),
    )
    assumed = {} if rate is None else assumed_cache_prices(rate.prices)
    prices = {} if rate is None else {**rate.prices, **assumed}
    kinds = []
    for kind in (REQUESTS, *ALL_KINDS):
        price = prices.get(kind)
        quoted = ("", "", "") if price is None else (format_pico(price.pico), price.block, bool_cell(kind in assumed))
        kinds.append(
            _PricedKind(
                price_pico=None if price is None else price.pico,
                price_block=1 if price is None else price.block,
                names=csv_fields((StatementLineKind.USAGE.value, *names, kind)),
                prices=csv_fields((unit_of(kind), *quoted)),
            )
        )
    total = _LINE_OF_TOTAL.get(first.price_grade)
    grades = (PriceGrade(first.price_grade).name.lower(), QuantityGrade(first.quantity_grade).name.lower())
    return _SeriesCells(
        section=section_of(first),
        kinds=tuple(kinds),
        rounding=csv_fields((StatementLineKind.ROUNDING.value, *names, "")),
        total="" if total is None else csv_fields((total.value, *names, REQUESTS)),
        after=csv_fields((CURRENCY, first.rate_id or None, "" if rate is None else escape_formula(rate.source), *grades)),
    )


def _check_sum(statement: Statement, payable_pico: int) -> None:
    billed_pico = sum(line.amount_pico or 0 for line in statement.lines if line.kind in _USAGE_LINES)
    if payable_pico != billed_pico:
        raise ExportSumError(
            f"the days of {statement.account[:80]!r} in {format_month(statement.month)} add up to {format_pico(payable_pico)}"
            f" USD, the usage on the statement to {format_pico(billed_pico)} USD; `metering verify` finds the difference"
        )

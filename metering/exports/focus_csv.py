"""A statement as a FOCUS file: usage by day, purchases, credits and adjustments.

The BilledCost of all rows adds up to the statement's total, exactly; where it would not, there is no file.
"""

from collections.abc import Iterator

from metering.domain.instants import format_month
from metering.domain.month_detail import MonthDetail
from metering.domain.statements import LineKind, Statement, StatementLine
from metering.exports.csv_text import Cell, csv_chunks, inert
from metering.exports.errors import ExportSumError
from metering.exports.focus_amounts import EXACT_PER_PICO, exact_usd, pico_usd
from metering.exports.focus_columns import FocusVersion, Row, cells, correction, header, of_statement
from metering.exports.focus_usage import UsageRows
from pricing.money import PICO_PER_CENT

_CATEGORIES = {
    LineKind.SUBSCRIPTION: "Purchase",
    LineKind.CREDIT: "Credit",
    LineKind.ADJUSTMENT: "Adjustment",
    LineKind.CARRIED_FORWARD: "Adjustment",
    LineKind.RESIDUAL: "Adjustment",
}


def focus_csv(detail: MonthDetail, version: FocusVersion = FocusVersion.V1_2) -> Iterator[bytes]:
    """Yield the statement as FOCUS rows. Raises ExportSumError, at the end, where they do not add up to its total."""
    return csv_chunks(header(version), _rows(detail))


def _rows(detail: MonthDetail) -> Iterator[list[Cell]]:
    statement = detail.statement
    shared = of_statement(statement)
    usage = UsageRows(detail, shared)
    yield from map(cells, usage.rows())
    billed = usage.billed
    for line, plan in _other_lines(statement):
        billed += (line.amount_pico or 0) * EXACT_PER_PICO
        yield cells({**shared, **correction(line.origin_month), **_other_row(line, plan)})
    total = statement.total_cents * PICO_PER_CENT * EXACT_PER_PICO
    if billed != total:
        raise ExportSumError(
            f"the rows of {statement.account[:80]!r} in {format_month(statement.month)} come to {exact_usd(billed)} USD, the"
            f" statement to {exact_usd(total)}; `metering verify` says what differs"
        )


def _other_lines(statement: Statement) -> Iterator[tuple[StatementLine, str]]:
    """Yield the lines that are not usage, each with the plan whose fee it is."""
    fees = iter(statement.plan.fees)
    for line in statement.lines:
        fee = next(fees, None) if line.kind is LineKind.SUBSCRIPTION and line.origin_month is None else None
        # A fee that is not known has no price to be told, a residual of nothing nothing to say.
        if line.kind in _CATEGORIES and line.amount_pico:
            yield line, statement.plan.plan if fee is None else fee.plan


def _other_row(line: StatementLine, plan: str) -> Row:
    amount = pico_usd(line.amount_pico or 0)
    row: Row = {
        "ChargeCategory": _CATEGORIES[line.kind],
        "ChargeFrequency": "One-Time",
        "ChargeDescription": inert(line.description),
        "ServiceName": "Hugging Face Account",
        "ServiceSubcategory": "Other (AI and Machine Learning)",
        "ListCost": amount,
        "ContractedCost": amount,
        "EffectiveCost": amount,
        "BilledCost": amount,
        "x_Line": line.kind.value,
    }
    if line.kind is LineKind.SUBSCRIPTION:
        fee = pico_usd(abs(line.amount_pico or 0))
        row |= {
            "ChargeFrequency": "Recurring",
            "SkuId": inert(f"subscription/{plan}"),
            "SkuPriceId": inert(f"subscription/{plan}"),
            "SkuMeter": "Subscription",
            "PricingCategory": "Standard",
            "PricingQuantity": -1 if (line.amount_pico or 0) < 0 else 1,
            "PricingUnit": "Subscriptions",
            "ListUnitPrice": fee,
            "ContractedUnitPrice": fee,
        }
    return row

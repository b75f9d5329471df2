"""A statement as a FOCUS file: usage by day, purchases, credits and adjustments.

The BilledCost of all rows adds up to the statement's total exactly; otherwise no file is written.
"""

from collections.abc import Iterator

from metering.domain.accounts.plan_history import FeeLine
from metering.domain.instants import format_month
from metering.domain.statements.month_detail import MonthDetail
from metering.domain.statements.statements import Statement, StatementLine, StatementLineKind
from metering.exports.csv_text import escape_formula, joined_chunks
from metering.exports.errors import ExportSumError
from metering.exports.focus_amounts import EXACT_PER_PICO, exact_usd, pico_usd
from metering.exports.focus_columns import FocusVersion, Row, correction, csv_line, days_period, header, statement_cells
from metering.exports.focus_sku import details_of_plan
from metering.exports.focus_usage import UsageLines
from pricing.money import PICO_PER_CENT

_CATEGORIES = {
    StatementLineKind.SUBSCRIPTION: "Purchase",
    StatementLineKind.CREDIT: "Credit",
    StatementLineKind.ADJUSTMENT: "Adjustment",
    StatementLineKind.CARRIED_FORWARD: "Adjustment",
    StatementLineKind.RESIDUAL: "Adjustment",
}


def focus_csv(detail: MonthDetail, version: FocusVersion = FocusVersion.V1_2) -> Iterator[bytes]:
    """Yield the statement as FOCUS rows. Raises ExportSumError at the end if they do not add up to its total."""
    return joined_chunks(header(version), _lines(detail))


def _lines(detail: MonthDetail) -> Iterator[str]:
    statement = detail.statement
    shared = statement_cells(statement)
    usage = UsageLines(detail, shared)
    yield from usage.lines()
    billed = usage.billed
    for other, fee in _other_lines(statement):
        billed += (other.amount_pico or 0) * EXACT_PER_PICO
        plan = statement.plan.plan if fee is None else fee.plan
        yield csv_line({**shared, **_fee_period(fee), **correction(other.origin_month), **_other_row(other, plan)})
    total = statement.total_cents * PICO_PER_CENT * EXACT_PER_PICO
    if billed != total:
        raise ExportSumError(
            f"the rows of {statement.account[:80]!r} in {format_month(statement.month)} add up to {exact_usd(billed)} USD, the"
            f" statement to {exact_usd(total)} USD; `metering verify` finds the difference"
        )


def _fee_period(fee: FeeLine | None) -> Row:
    """Return the charge period of a fee: the days that it is for, not the whole month."""
    if fee is None:
        return {}
    start, end = days_period(fee.first_day, fee.days)
    return {"ChargePeriodStart": start, "ChargePeriodEnd": end}


def _other_lines(statement: Statement) -> Iterator[tuple[StatementLine, FeeLine | None]]:
    """Yield the lines that are not usage, each with its fee; None for a line that is no fee of the month."""
    fees = iter(statement.plan.fees)
    for line in statement.lines:
        fee = next(fees, None) if line.kind is StatementLineKind.SUBSCRIPTION and line.origin_month is None else None
        # A row needs a price: an unknown fee has none, a residual of zero needs no row.
        if line.kind in _CATEGORIES and line.amount_pico:
            yield line, fee


def _other_row(line: StatementLine, plan: str) -> Row:
    amount = pico_usd(line.amount_pico or 0)
    row: Row = {
        "ChargeCategory": _CATEGORIES[line.kind],
        "ChargeFrequency": "One-Time",
        "ChargeDescription": escape_formula(line.description),
        "ServiceName": "Hugging Face Account",
        "ServiceSubcategory": "Other (AI and Machine Learning)",
        "ListCost": amount,
        "ContractedCost": amount,
        "EffectiveCost": amount,
        "BilledCost": amount,
        "x_Line": line.kind.value,
    }
    if line.kind is StatementLineKind.SUBSCRIPTION:
        fee = pico_usd(abs(line.amount_pico or 0))
        row |= {
            "ChargeFrequency": "Recurring",
            "SkuId": escape_formula(f"subscription/{plan}"),
            "SkuPriceId": escape_formula(f"subscription/{plan}"),
            "SkuMeter": "Subscription",
            "SkuPriceDetails": details_of_plan(plan),
            "PricingCategory": "Standard",
            "PricingQuantity": -1 if (line.amount_pico or 0) < 0 else 1,
            "PricingUnit": "Subscriptions",
            "ListUnitPrice": fee,
            "ContractedUnitPrice": fee,
        }
    return row

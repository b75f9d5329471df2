"""The columns of a FOCUS file (FinOps Open Cost and Usage Specification 1.2), and the cells that all rows of a statement share.

Version 1.3 renamed two columns: ``ProviderName`` to ``ServiceProviderName``, ``PublisherName`` to ``HostProviderName``. Their
content is the same. docs/focus.md states where each value comes from.
"""

from datetime import date, timedelta
from enum import StrEnum

from metering.domain.instants import date_of, first_date, format_month, next_month
from metering.domain.statements.statements import Statement
from metering.exports.csv_text import Cell, csv_fields, escape_formula


class FocusVersion(StrEnum):
    """The supported versions of the specification. They differ in column names only."""

    V1_2 = "1.2"
    V1_3 = "1.3"


HUGGING_FACE = "Hugging Face"
CORRECTION = "Correction"

# Ordered so that the cells that all days of a series share are adjacent: they are quoted once and reused.
_DAY_COLUMNS = ("ChargePeriodStart", "ChargePeriodEnd", "ChargeClass")
_SERIES_COLUMNS = (
    "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodStart",
    "BillingPeriodEnd", "InvoiceId", "InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceCategory",
    "ServiceSubcategory", "ServiceName", "ChargeCategory", "ChargeDescription", "ChargeFrequency", "SubAccountId",
    "SubAccountName", "SubAccountType", "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuPriceId", "SkuMeter",
    "SkuPriceDetails", "PricingCategory", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "ConsumedUnit", "Tags",
)  # fmt: skip
_AMOUNTS = ("PricingQuantity", "ConsumedQuantity", "ListCost", "ContractedCost", "EffectiveCost", "BilledCost", "x_OriginMonth")
_CUSTOM_COLUMNS = (
    "x_StatementStatus", "x_Line", "x_Route", "x_Provider", "x_Operation", "x_Key", "x_QuantityKind", "x_PriceGrade",
    "x_QuantityGrade", "x_PriceAssumed", "x_PriceSource", "x_PriceTableId", "x_RateId",
)  # fmt: skip
COLUMNS = (*_DAY_COLUMNS, *_SERIES_COLUMNS, *_AMOUNTS, *_CUSTOM_COLUMNS)

_RENAMED = {
    FocusVersion.V1_2: {},
    FocusVersion.V1_3: {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"},
}

Row = dict[str, Cell]


def header(version: FocusVersion) -> tuple[str, ...]:
    """Return the column names of a version, in the order of COLUMNS."""
    return tuple(_RENAMED[version].get(name, name) for name in COLUMNS)


def csv_line(row: Row) -> str:
    """Return a row as a CSV line; missing columns are null, written as an empty cell."""
    return csv_fields([row.get(name) for name in COLUMNS])


def series_cells(row: Row) -> tuple[str, str]:
    """Return the CSV before and after the amounts that all lines of a series share, without the day."""
    return csv_fields([row.get(name) for name in _SERIES_COLUMNS]), csv_fields([row.get(name) for name in _CUSTOM_COLUMNS])


def day_fields(day: int, origin_month: int | None) -> tuple[str, str]:
    """Return the CSV of a day, which comes before that of its series, and the month it corrects."""
    start, end = day_period(day)
    if origin_month is None:
        return f"{start},{end},", ""
    return f"{start},{end},{CORRECTION}", format_month(origin_month)


def statement_cells(statement: Statement) -> Row:
    """Return the cells that every row of a statement has; the periods are the whole month."""
    month = statement.month
    start, end = month_period(month)
    return {
        "BillingAccountId": escape_formula(statement.account),
        "BillingAccountName": escape_formula(statement.account),
        "BillingAccountType": "Account",
        "BillingCurrency": "USD",
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "InvoiceId": escape_formula(f"{statement.account}/{format_month(month)}") if statement.digest else None,
        "InvoiceIssuerName": HUGGING_FACE,
        "ProviderName": HUGGING_FACE,
        "PublisherName": HUGGING_FACE,
        "ServiceCategory": "AI and Machine Learning",
        "x_StatementStatus": statement.status,
    }


def correction(origin_month: int | None) -> Row:
    """Return the cells of a row that corrects a closed month: charged in that month, billed in this one."""
    if origin_month is None:
        return {}
    start, end = month_period(origin_month)
    return {
        "ChargeClass": CORRECTION,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "x_OriginMonth": format_month(origin_month),
    }


def month_period(month: int) -> tuple[str, str]:
    """Return the start and the exclusive end of a month."""
    return midnight(first_date(month).isoformat()), midnight(first_date(next_month(month)).isoformat())


def days_period(first: date, days: int) -> tuple[str, str]:
    """Return the start and the exclusive end of some whole days."""
    return midnight(first.isoformat()), midnight((first + timedelta(days=days)).isoformat())


def day_period(day: int) -> tuple[str, str]:
    """Return the start and the exclusive end of a day, days since 1970."""
    return midnight(date_of(day).isoformat()), midnight(date_of(day + 1).isoformat())


def midnight(date: str) -> str:
    """Return the instant at which a day starts."""
    return f"{date}T00:00:00Z"

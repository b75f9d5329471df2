"""The columns of a FOCUS file (FinOps Open Cost and Usage Specification 1.2), and what every row of a statement shares.

1.3 named two columns anew: ``ProviderName`` is ``ServiceProviderName``, ``PublisherName`` is ``HostProviderName``; what is in
them stays. docs/focus.md says where each value comes from.
"""

from enum import StrEnum

from metering.domain.instants import date_of, first_date, format_month, next_month
from metering.domain.statements.statements import Statement
from metering.exports.csv_text import Cell, csv_fields, escape_formula


class FocusVersion(StrEnum):
    """The versions of the specification whose names of columns can be had."""

    V1_2 = "1.2"
    V1_3 = "1.3"


HUGGING_FACE = "Hugging Face"
CORRECTION = "Correction"

# In an order in which what the days of a series share stands together: it is written once and pasted.
_OF_THE_DAY = ("ChargePeriodStart", "ChargePeriodEnd", "ChargeClass")
_OF_THE_SERIES = (
    "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodStart",
    "BillingPeriodEnd", "InvoiceId", "InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceCategory",
    "ServiceSubcategory", "ServiceName", "ChargeCategory", "ChargeDescription", "ChargeFrequency", "SubAccountId",
    "SubAccountName", "SubAccountType", "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuPriceId", "SkuMeter",
    "PricingCategory", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "ConsumedUnit", "Tags",
)  # fmt: skip
_AMOUNTS = ("PricingQuantity", "ConsumedQuantity", "ListCost", "ContractedCost", "EffectiveCost", "BilledCost", "x_OriginMonth")
_CUSTOM = (
    "x_StatementStatus", "x_Line", "x_Route", "x_Provider", "x_Operation", "x_Key", "x_QuantityKind", "x_PriceGrade",
    "x_QuantityGrade", "x_PriceAssumed", "x_PriceSource", "x_PriceTableId", "x_RateId",
)  # fmt: skip
COLUMNS = (*_OF_THE_DAY, *_OF_THE_SERIES, *_AMOUNTS, *_CUSTOM)

_RENAMED = {
    FocusVersion.V1_2: {},
    FocusVersion.V1_3: {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"},
}

Row = dict[str, Cell]


def header(version: FocusVersion) -> tuple[str, ...]:
    """Return the names of the columns, in the order of COLUMNS."""
    return tuple(_RENAMED[version].get(name, name) for name in COLUMNS)


def line(row: Row) -> str:
    """Return a row as a line; what it does not have is null, which is an empty cell."""
    return csv_fields([row.get(name) for name in COLUMNS])


def pasted(row: Row) -> tuple[str, str]:
    """Return what stands before and after the amounts in all lines of a series, without the day."""
    return csv_fields([row.get(name) for name in _OF_THE_SERIES]), csv_fields([row.get(name) for name in _CUSTOM])


def day_fields(day: int, origin_month: int | None) -> tuple[str, str]:
    """Return the cells of a day before those of its series, and the month that it corrects."""
    start, end = day_period(day)
    return f"{start},{end},{'' if origin_month is None else CORRECTION}", "" if origin_month is None else format_month(
        origin_month
    )


def of_statement(statement: Statement) -> Row:
    """Return what every row of a statement has; periods are the whole month."""
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
    """Return what tells a row that corrects a closed month; it was charged then, and is billed now."""
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
    """Return the begin and the exclusive end of a month."""
    return midnight(first_date(month).isoformat()), midnight(first_date(next_month(month)).isoformat())


def day_period(day: int) -> tuple[str, str]:
    """Return the begin and the exclusive end of a day, days since 1970."""
    return midnight(date_of(day).isoformat()), midnight(date_of(day + 1).isoformat())


def midnight(date: str) -> str:
    """Return the instant at which a day begins."""
    return f"{date}T00:00:00Z"

"""The rules of the FOCUS specification 1.2, written from the specification. Shares no code with the exporter.

``violations(text)`` reads a CSV and returns the rules that each row breaks. Rules for commitments, several currencies, taxes,
availability zones and regions are not covered: a file with their columns is refused.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, localcontext

NAMES_OF_1_3 = {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"}

DECIMALS = {
    "BilledCost", "ContractedCost", "ContractedUnitPrice", "ConsumedQuantity", "EffectiveCost", "ListCost", "ListUnitPrice",
    "PricingQuantity",
}  # fmt: skip
TIMES = {"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"}
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
}  # fmt: skip
# Required where prices are published, usage is measured, and there are resources, sub accounts and tags.
CONDITIONAL = {
    "BillingAccountType", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory",
    "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
}  # fmt: skip
RECOMMENDED = {"ChargeFrequency", "InvoiceId", "ServiceSubcategory"}
NEVER_NULL = {
    "BilledCost", "BillingAccountId", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory",
}  # fmt: skip
NEVER_NEGATIVE = {"ListUnitPrice", "ContractedUnitPrice"}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction", ""},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other", ""},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {
        "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
        "Other (AI and Machine Learning)",
    },
    "BillingCurrency": {"USD"},
}  # fmt: skip
TIME_UNITS = {"Years", "Months", "Days", "Hours", "Minutes", "Seconds"}

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE]-?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_CUSTOM = re.compile(r"x_[A-Z][A-Za-z0-9]*")
_UNIT = re.compile(r"([1-9][0-9]* )?([A-Z][a-z]+s|USD)")
_NOT_NULL = {"null", "none", "n/a", "not applicable", "unknown"}

Row = dict[str, str]


def rows_of(text: str, version: str = "1.2") -> list[Row]:
    """Return the rows of a file under the column names of 1.2."""
    to_1_2 = {new: old for old, new in NAMES_OF_1_3.items()} if version == "1.3" else {}
    return [{to_1_2.get(name, name): cell for name, cell in row.items()} for row in csv.DictReader(io.StringIO(text))]


def violations(text: str, version: str = "1.2", *, payable: Decimal | None = None) -> list[str]:
    """Return the rules that a file breaks; ``payable`` is the expected total of its one invoice."""
    header = next(csv.reader(io.StringIO(text)))
    found = list(_header(header, version))
    if found:
        return found
    if any(len(cells) != len(header) for cells in csv.reader(io.StringIO(text))):
        return ["a row has more or fewer cells than the header"]
    rows = rows_of(text, version)
    for number, row in enumerate(rows, 1):
        broken = list(_formats(row)) or [*_periods(row), *_categories(row), *_costs(row), *_products(row), *_entities(row)]
        found += [f"row {number}: {rule}" for rule in broken]
    return found + list(_across(rows, payable))


def _header(header: list[str], version: str) -> Iterator[str]:
    known = MANDATORY | CONDITIONAL | RECOMMENDED
    if version == "1.3":
        known = {NAMES_OF_1_3.get(name, name) for name in known}
    yield from (f"{name} is missing" for name in sorted(known - set(header)))
    yield from (f"{name} twice" for name in sorted({name for name in header if header.count(name) > 1}))
    for name in header:
        if name not in known and not _CUSTOM.fullmatch(name):
            yield f"{name} is not a column of the specification; custom columns start with x_"


def _formats(row: Row) -> Iterator[str]:
    for name, cell in row.items():
        if cell != cell.strip():
            yield f"{name}: white space around {cell!r}"
        if not name.startswith("x_") and cell.lower() in _NOT_NULL:
            yield f"{name}: null is an empty cell, not {cell!r}"
        if cell == "" and name in NEVER_NULL:
            yield f"{name} is null"
        if cell and name in DECIMALS and not _DECIMAL.fullmatch(cell):
            yield f"{name}: {cell!r} is not a number in the format of the specification"
        if cell and name in TIMES and not _TIME.fullmatch(cell):
            yield f"{name}: {cell!r} is not an instant in the format of the specification"
        if name in ALLOWED and cell not in ALLOWED[name]:
            yield f"{name}: {cell!r} is not allowed"
        if cell and name in ("PricingUnit", "ConsumedUnit"):
            matched = _UNIT.fullmatch(cell)
            if matched is None or (matched[2].lower().endswith("seconds") and matched[2] not in TIME_UNITS):
                yield f"{name}: {cell!r} is not a unit"
    for name in NEVER_NEGATIVE:
        if row[name] and _DECIMAL.fullmatch(row[name]) and Decimal(row[name]) < 0:
            yield f"{name} is negative"


def _periods(row: Row) -> Iterator[str]:
    billing_start, billing_end, start, end = (
        datetime.fromisoformat(row[name])
        for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    )
    if billing_start.day != 1 or billing_end.day != 1 or not 28 <= (billing_end - billing_start).days <= 31:
        yield "the billing period is not a calendar month with an exclusive end"
    if start >= end:
        yield "the charge period ends before it starts"
    if row["ChargeClass"] == "Correction":
        if end > billing_start:
            yield "a Correction corrects a billing period that was invoiced before"
    elif start < billing_start or end > billing_end:
        yield "the charge period is outside the billing period, and the row is not a Correction"


def _categories(row: Row) -> Iterator[str]:
    category, is_correction = row["ChargeCategory"], row["ChargeClass"] == "Correction"
    if category in ("Usage", "Purchase") and not is_correction:
        yield from (f"{name} is null in a row of {category}" for name in _PRICED if not row[name])
    consumed = Decimal(row["ConsumedQuantity"] or 0) > 0 and bool(row["ConsumedUnit"])
    if category == "Usage" and not is_correction and not consumed:
        yield "ConsumedQuantity is not positive, or has no unit, in a row of Usage"
    if category != "Usage" and (row["ConsumedQuantity"] or row["ConsumedUnit"]):
        yield f"something was consumed in a row of {category}"
    if category == "Purchase" and row["ChargeFrequency"] == "Usage-Based":
        yield "a Purchase is never Usage-Based"
    if bool(row["PricingQuantity"]) != bool(row["PricingUnit"]):
        yield "PricingQuantity and PricingUnit are null together"


def _costs(row: Row) -> Iterator[str]:
    category, billed = row["ChargeCategory"], Decimal(row["BilledCost"])
    if category == "Credit" and row["ChargeClass"] != "Correction" and billed >= 0:
        yield "a Credit does not reduce the bill"
    if category in ("Credit", "Adjustment") and len({Decimal(row[name]) for name in _COSTS}) != 1:
        yield f"the costs of a row of {category} differ"
    if row["ProviderName"] != row["InvoiceIssuerName"] and billed != 0:
        yield "BilledCost is not 0 although another issuer is paid"


_PRICED = ("PricingQuantity", "PricingUnit", "PricingCategory", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId")
_COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


def _products(row: Row) -> Iterator[str]:
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if row[price] and row["PricingQuantity"]:
            with localcontext(prec=200):
                product = Decimal(row[price]) * Decimal(row["PricingQuantity"])
            if product != Decimal(row[cost]):
                yield f"{price} x PricingQuantity is {product}, {cost} is {row[cost]}"


def _entities(row: Row) -> Iterator[str]:
    together = (("SubAccountId", "SubAccountName", "SubAccountType"), ("ResourceId", "ResourceType"))
    for names in (*together, ("SkuId", "SkuPriceId", "SkuMeter")):
        if len({bool(row[name]) for name in names}) != 1:
            yield f"{', '.join(names)} are null together"
    if row["ResourceName"] and row["ResourceName"] == row["ResourceId"]:
        yield "ResourceName repeats ResourceId"
    if row["SkuPriceDetails"]:
        yield from _price_details(row)
    if row["Tags"]:
        tags = json.loads(row["Tags"])
        if not isinstance(tags, dict) or not all(isinstance(value, str | int | bool | None) for value in tags.values()):
            yield "Tags are not an object of plain values"


def _price_details(row: Row) -> Iterator[str]:
    """Check the form of 1.2: none of its defined properties (cores, disks, memory) applies to inference."""
    if not row["SkuPriceId"]:
        yield "SkuPriceDetails without a SkuPriceId"
    details = json.loads(row["SkuPriceDetails"])
    if not isinstance(details, dict) or not details:
        yield "SkuPriceDetails is not an object with properties"
        return
    for name, value in details.items():
        if not _CUSTOM.fullmatch(name):
            yield f"SkuPriceDetails: {name} is not a property of the specification; custom properties start with x_"
        if not isinstance(value, str) or not value:
            yield f"SkuPriceDetails: {name} is no text"


def _across(rows: list[Row], payable: Decimal | None) -> Iterator[str]:
    skus, details, accounts = defaultdict(set), defaultdict(set), defaultdict(set)
    billed: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["SkuPriceId"]:
            skus[row["SkuPriceId"]].add(row["SkuId"])
            details[row["SkuPriceId"]].add(row["SkuPriceDetails"])
        if row["InvoiceId"]:
            accounts[row["InvoiceId"]].add(row["BillingAccountId"])
            with localcontext(prec=200):
                billed[row["InvoiceId"]] += Decimal(row["BilledCost"])
    yield from (f"SkuPriceId {name} has {len(parents)} parents" for name, parents in skus.items() if len(parents) > 1)
    yield from (f"SkuPriceId {name} has {len(sets)} sets of details" for name, sets in details.items() if len(sets) > 1)
    yield from (f"InvoiceId {name} has several accounts" for name, owners in accounts.items() if len(owners) > 1)
    if payable is not None:
        yield from (f"{name} adds up to {amount}, not {payable}" for name, amount in billed.items() if amount != payable)

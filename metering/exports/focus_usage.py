"""The Usage rows of a FOCUS file: one per day, series, rate and kind of quantity; and the rounding of requests.

A row has the exact product of quantity and price. Each request was charged rounded up to nano-dollars; the difference is an
Adjustment row per rate, so that the products stay exact. Usage that a provider bills has BilledCost 0: its EffectiveCost is on
the provider's invoice. Unpriced usage has no row: the specification requires a price.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.statements.month_detail import DailyUsage, MonthDetail, Section, by_series, origin_month_of, section_of
from metering.domain.statements.statements import StatementLineKind, described
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.domain.usage.series import OTHER
from metering.exports.csv_text import escape_formula
from metering.exports.focus_amounts import EXACT_PER_PICO, exact_usd, pico_usd, pricing_quantity_and_cost, unit_name
from metering.exports.focus_columns import Row, correction, csv_line, day_fields, series_cells
from pricing.money import PICO_PER_NANO
from pricing.quantities import ALL_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices

_RoundedKey = tuple[str, str, str, int, int | None]


class _PricedKindCells(NamedTuple):
    """A priced kind of quantity of one series: its index among a day's counts, its price, and the CSV around its amounts."""

    count_index: int
    price_pico: int
    price_block: int
    before: str
    after: str


class UsageLines(Struct):
    """Makes the lines of a month's usage; ``billed`` sums the BilledCost of the lines made, in units of 1e-24 dollars."""

    detail: MonthDetail
    shared: Row
    billed: int = 0
    _rounded: dict[_RoundedKey, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield the usage lines, series by series, then the rounding lines."""
        for days in by_series(self.detail.usage):
            first = days[0]
            section = section_of(first)
            if section not in (Section.PAYABLE, Section.OWED_TO_PARTNER):
                continue
            is_billed = section is Section.PAYABLE
            row = {**self.shared, **_dimensions(first)}
            if not is_billed:
                row |= {"InvoiceId": None, "InvoiceIssuerName": row["PublisherName"]}
            if first.price_grade == PriceGrade.REPORTED:
                yield from self._reported(days, row, is_billed=is_billed)
            else:
                yield from self._rated(days, row, is_billed=is_billed)
        yield from self._rounding()

    def _rated(self, days: Sequence[DailyUsage], row: Row, *, is_billed: bool) -> Iterator[str]:
        first = days[0]
        kinds = _priced_kinds(row, first, self.detail.rates[first.rate_id])
        for usage in days:
            origin = origin_month_of(usage, self.detail.statement.month)
            day, corrects = day_fields(usage.day, origin)
            rest = usage.amount_nano * PICO_PER_NANO * EXACT_PER_PICO
            counts = (usage.events, *usage.quantities)
            for kind in kinds:
                quantity = counts[kind.count_index]
                if not quantity:
                    continue
                pricing_quantity, cost = pricing_quantity_and_cost(quantity, kind.price_pico, kind.price_block)
                rest -= cost
                written = exact_usd(cost)
                billed = "0"
                if is_billed:
                    self.billed += cost
                    billed = written
                amounts = f"{pricing_quantity},{quantity},{written},{written},{written},{billed},{corrects}"
                yield f"{day},{kind.before},{amounts},{kind.after}"
            if rest and is_billed:
                key = (first.route, first.provider, first.model, first.rate_id, origin)
                self._rounded[key] = self._rounded.get(key, 0) + rest

    def _reported(self, days: Sequence[DailyUsage], row: Row, *, is_billed: bool) -> Iterator[str]:
        """Yield the lines of costs reported by the provider: a quantity of dollars at a price of one dollar."""
        before, after = series_cells({**row, **_reported_cells(row)})
        for usage in days:
            day, corrects = day_fields(usage.day, origin_month_of(usage, self.detail.statement.month))
            amount = usage.amount_nano * PICO_PER_NANO
            self.billed += amount * EXACT_PER_PICO if is_billed else 0
            written = pico_usd(amount)
            amounts = ",".join([written, str(usage.events), *[written] * 3, written if is_billed else "0", corrects])
            yield f"{day},{before},{amounts},{after}"

    def _rounding(self) -> Iterator[str]:
        for (route, provider, model, rate_id, origin), cost in self._rounded.items():
            if not cost:
                continue
            self.billed += cost
            rate = self.detail.rates[rate_id]
            row = {
                **self.shared,
                **correction(origin),
                **_adjustment(exact_usd(cost)),
                **_service(provider),
                "ChargeDescription": escape_formula(f"{model} at {provider}, rounding of each request up to nano-dollars"),
                "x_Line": StatementLineKind.ROUNDING.value,
                "x_Route": route,
                "x_Provider": escape_formula(provider),
                "x_RateId": rate_id,
                "x_PriceTableId": rate.table_id or None,
                "x_PriceSource": escape_formula(rate.source),
            }
            yield csv_line(row)


def _adjustment(amount: str) -> Row:
    return {
        "ChargeCategory": "Adjustment",
        "ChargeFrequency": "One-Time",
        "ListCost": amount,
        "ContractedCost": amount,
        "EffectiveCost": amount,
        "BilledCost": amount,
    }


def _service(provider: str) -> Row:
    hosted = provider == "hf-inference"
    return {
        "PublisherName": "Hugging Face" if hosted else escape_formula(provider),
        "ServiceName": "HF Inference" if hosted else "Inference Providers",
        "ServiceSubcategory": "Generative AI",
    }


def _dimensions(usage: DailyUsage) -> Row:
    project = escape_formula(usage.project) or None
    return {
        **_service(usage.provider),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "SubAccountId": project,
        "SubAccountName": project,
        "SubAccountType": "Project" if project else None,
        "ResourceId": escape_formula(usage.model),
        "ResourceName": escape_formula(usage.model),
        "ResourceType": "Model",
        "Tags": _tags(usage.tags),
        "x_Route": usage.route,
        "x_Provider": escape_formula(usage.provider),
        "x_Operation": escape_formula(usage.operation),
        "x_Key": escape_formula(usage.key) or None,
        "x_PriceGrade": PriceGrade(usage.price_grade).name.lower(),
        "x_QuantityGrade": QuantityGrade(usage.quantity_grade).name.lower(),
    }


def _tags(tags: str) -> str | None:
    """Return declared tags as a JSON object; None without tags, and above the cap on series, where they are unknown."""
    return None if tags in ("", OTHER) else json.dumps(json.loads(tags), ensure_ascii=False, separators=(",", ":"))


def _reported_cells(row: Row) -> Row:
    sku = escape_formula(f"{row['x_Provider']}/{row['ResourceId']}/reported")
    return {
        "ChargeDescription": escape_formula(f"{row['ResourceId']} at {row['x_Provider']}, cost as the provider reported it"),
        "SkuId": sku,
        "SkuPriceId": sku,
        "SkuMeter": "Reported Cost",
        "PricingCategory": "Other",
        "PricingUnit": "USD",
        "ListUnitPrice": "1",
        "ContractedUnitPrice": "1",
        "ConsumedUnit": unit_name(REQUESTS),
        "x_Line": StatementLineKind.REPORTED.value,
        "x_QuantityKind": REQUESTS,
    }


def _priced_kinds(row: Row, first: DailyUsage, rate: Rate) -> list[_PricedKindCells]:
    """Return the kinds of quantities that a rate prices, in a fixed order."""
    assumed = assumed_cache_prices(rate.prices)
    prices = {**rate.prices, **assumed}
    tier = f"/from-{rate.context_from}" if rate.context_from else ""
    kinds = []
    for index, kind in enumerate((REQUESTS, *ALL_KINDS)):
        price = prices.get(kind)
        if price is None:
            continue
        sku = escape_formula(f"{rate.provider}/{rate.model}/{rate.operation or 'any'}/{kind}")
        unit_price = pico_usd(price.pico)
        kind_cells: Row = {
            "ChargeDescription": escape_formula(f"{first.model} at {first.provider}, {described(kind)}"),
            "SkuId": sku,
            "SkuPriceId": sku + tier,
            "SkuMeter": described(kind).title(),
            "PricingCategory": "Dynamic",
            "PricingUnit": unit_name(kind, price.block),
            "ListUnitPrice": unit_price,
            "ContractedUnitPrice": unit_price,
            "ConsumedUnit": unit_name(kind),
            "x_Line": StatementLineKind.USAGE.value,
            "x_QuantityKind": kind,
            "x_PriceAssumed": "true" if kind in assumed else "false",
            "x_PriceSource": escape_formula(rate.source),
            "x_PriceTableId": rate.table_id or None,
            "x_RateId": rate.id,
        }
        kinds.append(_PricedKindCells(index, price.pico, price.block, *series_cells({**row, **kind_cells})))
    return kinds

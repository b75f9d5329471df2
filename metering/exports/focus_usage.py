"""The Usage rows of a FOCUS file: one a day, series, rate and kind of quantity; and what rounding requests added up to.

A row carries the exact product of quantity and price. Each request was charged rounded up to nano-dollars; the difference is
an Adjustment row for each rate, so that the products stay what they say. Usage that a partner bills has BilledCost 0: it costs
what EffectiveCost says, on somebody else's invoice. What has no price has no row: the specification has no place for it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from metering.domain.events import PriceGrade, QuantityGrade
from metering.domain.month_detail import DailyUsage, MonthDetail, Section, origin_month_of, section_of
from metering.domain.series import OTHER
from metering.domain.statements import LineKind, described
from metering.exports.csv_text import inert
from metering.exports.focus_amounts import EXACT_PER_PICO, exact_usd, pico_usd, priced, unit_name
from metering.exports.focus_columns import Row, correction, day_period
from pricing.money import PICO_PER_NANO
from pricing.quantities import ALL_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices

_RoundedKey = tuple[str, str, str, int, int | None]


@dataclass(slots=True)
class UsageRows:
    """Makes the rows of a month's usage; ``billed`` is the sum of their BilledCost so far, in units of 1e-24 dollars."""

    detail: MonthDetail
    shared: Row
    billed: int = 0
    _rounded: dict[_RoundedKey, int] = field(default_factory=dict)
    _of_rates: dict[tuple[str, str, str, int], dict[str, Row]] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of usage in the order of the days, then those of rounding."""
        for usage in self.detail.usage:
            section = section_of(usage)
            if section in (Section.PAYABLE, Section.OWED_TO_PARTNER):
                yield from self._of_a_day(usage, is_billed=section is Section.PAYABLE)
        yield from self._rounding()

    def _of_a_day(self, usage: DailyUsage, *, is_billed: bool) -> Iterator[Row]:
        origin = origin_month_of(usage, self.detail.statement.month)
        start, end = day_period(usage.day)
        front = {
            **self.shared,
            **correction(origin),
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
            **_dimensions(usage),
        }
        if not is_billed:
            front |= {"InvoiceId": None, "InvoiceIssuerName": front["PublisherName"]}
        if usage.price_grade == PriceGrade.REPORTED:
            yield self._reported(front, usage, is_billed=is_billed)
            return
        rate = self.detail.rates[usage.rate_id]
        left = usage.amount_nano * PICO_PER_NANO * EXACT_PER_PICO
        of_kinds = self._of_rate(usage, rate)
        assumed = assumed_cache_prices(rate.prices)
        for kind, quantity in ((REQUESTS, usage.events), *zip(ALL_KINDS, usage.quantities, strict=True)):
            price = rate.prices.get(kind) or assumed.get(kind)
            if price is None or not quantity:
                continue
            pricing_quantity, cost = priced(quantity, price.pico, price.block)
            left -= cost
            written = exact_usd(cost)
            self.billed += cost if is_billed else 0
            yield {
                **front,
                **of_kinds[kind],
                "PricingQuantity": pricing_quantity,
                "ConsumedQuantity": quantity,
                "ListCost": written,
                "ContractedCost": written,
                "EffectiveCost": written,
                "BilledCost": written if is_billed else "0",
            }
        if left and is_billed:
            key = (usage.route, usage.provider, usage.model, usage.rate_id, origin)
            self._rounded[key] = self._rounded.get(key, 0) + left

    def _of_rate(self, usage: DailyUsage, rate: Rate) -> dict[str, Row]:
        """Return what the rows of a rate share, by kind of quantity: thousands of days have the same."""
        key = (usage.route, usage.provider, usage.model, usage.rate_id)
        known = self._of_rates.get(key)
        if known is None:
            known = self._of_rates[key] = _of_kinds(usage, rate)
        return known

    def _reported(self, front: Row, usage: DailyUsage, *, is_billed: bool) -> Row:
        """Return the row of a cost that the provider stated: so many dollars at a dollar each."""
        amount = usage.amount_nano * PICO_PER_NANO
        self.billed += amount * EXACT_PER_PICO if is_billed else 0
        written = pico_usd(amount)
        sku = inert(f"{usage.provider}/{usage.model}/reported")
        return {
            **front,
            "ChargeDescription": inert(f"{usage.model} at {usage.provider}, cost as the provider reported it"),
            "SkuId": sku,
            "SkuPriceId": sku,
            "SkuMeter": "Reported Cost",
            "PricingCategory": "Other",
            "PricingQuantity": written,
            "PricingUnit": "USD",
            "ListUnitPrice": "1",
            "ContractedUnitPrice": "1",
            "ConsumedQuantity": usage.events,
            "ConsumedUnit": unit_name(REQUESTS),
            "ListCost": written,
            "ContractedCost": written,
            "EffectiveCost": written,
            "BilledCost": written if is_billed else "0",
            "x_Line": LineKind.REPORTED.value,
            "x_QuantityKind": REQUESTS,
        }

    def _rounding(self) -> Iterator[Row]:
        for (route, provider, model, rate_id, origin), cost in self._rounded.items():
            if not cost:
                continue
            self.billed += cost
            rate = self.detail.rates[rate_id]
            yield {
                **self.shared,
                **correction(origin),
                **_adjustment(exact_usd(cost)),
                **_service(provider),
                "ChargeDescription": inert(f"{model} at {provider}, rounding of each request up to nano-dollars"),
                "x_Line": LineKind.ROUNDING.value,
                "x_Route": route,
                "x_Provider": inert(provider),
                "x_RateId": rate_id,
                "x_PriceTableId": rate.table_id or None,
                "x_PriceSource": inert(rate.source),
            }


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
        "PublisherName": "Hugging Face" if hosted else inert(provider),
        "ServiceName": "HF Inference" if hosted else "Inference Providers",
        "ServiceSubcategory": "Generative AI",
    }


def _dimensions(usage: DailyUsage) -> Row:
    project = inert(usage.project) or None
    return {
        **_service(usage.provider),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "SubAccountId": project,
        "SubAccountName": project,
        "SubAccountType": "Project" if project else None,
        "ResourceId": inert(usage.model),
        "ResourceName": inert(usage.model),
        "ResourceType": "Model",
        "Tags": _tags(usage.tags),
        "x_Route": usage.route,
        "x_Provider": inert(usage.provider),
        "x_Operation": inert(usage.operation),
        "x_Key": inert(usage.key) or None,
        "x_PriceGrade": PriceGrade(usage.price_grade).name.lower(),
        "x_QuantityGrade": QuantityGrade(usage.quantity_grade).name.lower(),
    }


def _tags(tags: str) -> str | None:
    """Return declared tags as the specification's key-value object; past the cap on series nobody knows them any more."""
    return None if tags in ("", OTHER) else json.dumps(json.loads(tags), ensure_ascii=False, separators=(",", ":"))


def _of_kinds(usage: DailyUsage, rate: Rate) -> dict[str, Row]:
    assumed = assumed_cache_prices(rate.prices)
    tier = f"/from-{rate.context_from}" if rate.context_from else ""
    rows: dict[str, Row] = {}
    for kind, price in {**rate.prices, **assumed}.items():
        sku = inert(f"{rate.provider}/{rate.model}/{rate.operation or 'any'}/{kind}")
        unit_price = pico_usd(price.pico)
        rows[kind] = {
            "ChargeDescription": inert(f"{usage.model} at {usage.provider}, {described(kind)}"),
            "SkuId": sku,
            "SkuPriceId": sku + tier,
            "SkuMeter": described(kind).title(),
            "PricingCategory": "Dynamic",
            "PricingUnit": unit_name(kind, price.block),
            "ListUnitPrice": unit_price,
            "ContractedUnitPrice": unit_price,
            "ConsumedUnit": unit_name(kind),
            "x_Line": LineKind.USAGE.value,
            "x_QuantityKind": kind,
            "x_PriceAssumed": "true" if kind in assumed else "false",
            "x_PriceSource": inert(rate.source),
            "x_PriceTableId": rate.table_id or None,
            "x_RateId": rate.id,
        }
    return rows

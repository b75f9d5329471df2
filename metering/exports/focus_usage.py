"""The Usage rows of a FOCUS file: one per day, series, rate and kind of quantity; and the rounding of requests.

A row has the exact product of quantity and price. Each request was charged rounded up to nano-dollars; the difference is an
Adjustment row per rate, so that the products stay exact. Usage that a provider bills has BilledCost 0: its EffectiveCost is on
the provider's invoice. Unpriced usage has no row: the specification requires a price.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from metering.domain.instants import MICROS_PER_DAY
from metering.domain.statements.month_detail import DailyUsage, MonthDetail, Section, by_series, origin_month_of, section_of
from metering.domain.statements.statements import StatementLineKind, described
from metering.domain.usage.events import PriceGrade, QuantityGrade
from metering.domain.usage.series import OTHER
from metering.exports.csv_text import escape_formula
from metering.exports.focus_amounts import (
    EXACT_PER_PICO,
    consumed_quantity,
    consumed_unit,
    exact_usd,
    is_time,
    pico_usd,
    price_per,
    pricing_quantity,
    unit_price,
)
from metering.exports.focus_columns import Row, correction, csv_line, day_fields, series_cells
from metering.exports.focus_sku import details_of_model, price_details, sku_meter
from pricing.money import PICO_PER_NANO
from pricing.quantities import ALL_KINDS, REQUESTS
from pricing.rates import Rate, assumed_cache_prices

_RoundedKey = tuple[str, str, str, int, int | None]


class _PricedKindCells(NamedTuple):
    """A priced kind of quantity of one series: its index among a day's counts, its prices, and the CSV around its amounts."""

    count_index: int
    in_ms: bool
    block: int
    price_pico: int
    list_price_pico: int
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
        rate = self.detail.rates[days[0].rate_id]
        is_own = self.detail.list_prices.is_own(rate)
        listed = self._list_rate(days[0], rate)
        kinds = _priced_kinds(row, days[0], rate, listed, is_own=is_own)
        for usage in days:
            if is_own and (of_day := self._list_rate(usage, rate)) is not listed:
                listed = of_day
                kinds = _priced_kinds(row, usage, rate, listed, is_own=is_own)
            origin = origin_month_of(usage, self.detail.statement.month)
            day, corrects = day_fields(usage.day, origin)
            rest = usage.amount_nano * PICO_PER_NANO * EXACT_PER_PICO
            counts = (usage.events, *usage.quantities)
            for kind in kinds:
                quantity = counts[kind.count_index]
                if not quantity:
                    continue
                priced, exact_quantity = pricing_quantity(quantity, kind.block)
                cost = exact_quantity * kind.price_pico
                rest -= cost
                written = exact_usd(cost)
                list_cost = written
                if kind.list_price_pico != kind.price_pico:
                    list_cost = exact_usd(exact_quantity * kind.list_price_pico)
                billed = "0"
                if is_billed:
                    self.billed += cost
                    billed = written
                consumed = priced if kind.block == 1 else consumed_quantity(quantity, in_ms=kind.in_ms)
                amounts = f"{priced},{consumed},{list_cost},{written},{written},{billed},{corrects}"
                yield f"{day},{kind.before},{amounts},{kind.after}"
            if rest and is_billed:
                key = (usage.route, usage.provider, usage.model, usage.rate_id, origin)
                self._rounded[key] = self._rounded.get(key, 0) + rest

    def _list_rate(self, usage: DailyUsage, rate: Rate) -> Rate:
        """Return the list price of a day's usage."""
        key = (usage.provider, usage.model, usage.operation)
        return self.detail.list_prices.list_rate(rate, usage.route, key, usage.day * MICROS_PER_DAY)

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
        "SkuPriceDetails": details_of_model(str(row["ResourceId"])),
        "PricingCategory": "Other",
        "PricingUnit": "USD",
        "ListUnitPrice": "1",
        "ContractedUnitPrice": "1",
        "ConsumedUnit": consumed_unit(REQUESTS),
        "x_Line": StatementLineKind.REPORTED.value,
        "x_QuantityKind": REQUESTS,
    }


def _priced_kinds(row: Row, first: DailyUsage, rate: Rate, listed: Rate, *, is_own: bool) -> list[_PricedKindCells]:
    """Return the kinds of quantities that a rate prices, in a fixed order; ``listed`` has their list prices."""
    assumed = assumed_cache_prices(rate.prices)
    prices = {**rate.prices, **assumed}
    list_prices = {**listed.prices, **assumed_cache_prices(listed.prices)}
    tier = f"/from-{rate.context_from}" if rate.context_from else ""
    kinds = []
    for index, kind in enumerate((REQUESTS, *ALL_KINDS)):
        price = prices.get(kind)
        if price is None:
            continue
        sku = escape_formula(f"{rate.provider}/{rate.model}/{rate.operation or 'any'}/{kind}")
        contracted = unit_price(kind, price)
        list_pico = price_per(list_prices.get(kind, price), contracted.block)
        kind_cells: Row = {
            "ChargeDescription": escape_formula(f"{first.model} at {first.provider}, {described(kind)}"),
            "SkuId": sku,
            "SkuPriceId": sku + tier,
            "SkuMeter": sku_meter(kind),
            "SkuPriceDetails": price_details(kind, rate),
            # A list price can change at any time; a price agreed for the account, or a discount, cannot.
            "PricingCategory": "Standard" if is_own else "Dynamic",
            "PricingUnit": contracted.unit,
            "ListUnitPrice": pico_usd(list_pico),
            "ContractedUnitPrice": pico_usd(contracted.pico),
            "ConsumedUnit": consumed_unit(kind),
            "x_Line": StatementLineKind.USAGE.value,
            "x_QuantityKind": kind,
            "x_PriceAssumed": "true" if kind in assumed else "false",
            "x_PriceSource": escape_formula(rate.source),
            "x_PriceTableId": rate.table_id or None,
            "x_RateId": rate.id,
        }
        around = series_cells({**row, **kind_cells})
        kinds.append(_PricedKindCells(index, is_time(kind), contracted.block, contracted.pico, list_pico, *around))
    return kinds

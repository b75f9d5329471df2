"""Prices, units and SKUs in a FOCUS file: list prices before discounts, units that the specification lists, price details."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from metering.domain.accounts.plan_history import FeeLine, PlanMonth
from metering.domain.statements.statements import StatementLineKind
from metering.exports.focus_csv import focus_csv
from pricing.list_prices import ListPrices
from pricing.quantities import PRICED_KINDS
from pricing.rates import Price
from support.builders import CLOSED, day_usage, instant, month_detail, price_table, rate
from support.exported_files import exact_sum, text_of
from support.focus_rules import rows_of, violations
from support.statement_examples import DOLLAR, by_hand, example_1, example_6, other

AGREED = 90


def file_of(*days, own_prices, listed, **overrides):
    """Return the FOCUS rows of usage priced by the account's own rate, while ``listed`` are everyone's price tables."""
    own = rate(id=1, table_id=AGREED, source="a contract", prices=own_prices)
    detail = month_detail(*days, rates=[own], plan="", **overrides)
    text = text_of(focus_csv(replace(detail, list_prices=ListPrices({AGREED: "contract"}, tuple(listed)))))
    assert violations(text) == []
    return [row for row in rows_of(text) if row["ChargeCategory"] == "Usage"]


def shown(row, *names):
    return tuple(row[name] for name in names)


PRICES = (
    "ListUnitPrice",
    "ListCost",
    "ContractedUnitPrice",
    "ContractedCost",
    "EffectiveCost",
    "BilledCost",
    "PricingCategory",
)


def test_a_price_of_ones_own_is_contracted_and_the_list_price_is_shown_beside_it():
    # $0.75 a million instead of $1.00: two million tokens
    day = day_usage("2026-11-03", 1_500_000_000, input_tokens=2_000_000)
    (row,) = file_of(day, own_prices={"input_tokens": Price(750_000)}, listed=[price_table(rate(1_000_000), id=1)])
    assert shown(row, *PRICES) == ("0.000001", "2", "0.00000075", "1.5", "1.5", "1.5", "Standard")


def test_a_list_price_is_dynamic_and_contracted_as_it_is():
    row = rows_of(text_of(focus_csv(example_1())))[0]
    assert shown(row, *PRICES) == ("0.0000009", "0.9", "0.0000009", "0.9", "0.9", "0.9", "Dynamic")


def test_a_list_price_that_changes_within_the_month_changes_from_that_day_on():
    listed = [
        price_table(rate(1_000_000), id=1),
        price_table(rate(2_000_000), id=2, effective_from=instant("2026-11-04T00:00:00Z")),
    ]
    days = [day_usage(f"2026-11-0{day}", 500_000_000, input_tokens=1_000_000) for day in (3, 4, 5)]
    rows = file_of(*days, own_prices={"input_tokens": Price(500_000)}, listed=listed)
    assert [shown(row, "ListUnitPrice", "ListCost", "BilledCost") for row in rows] == [
        ("0.000001", "1", "0.5"),
        ("0.000002", "2", "0.5"),
        ("0.000002", "2", "0.5"),
    ]


def test_a_kind_that_no_list_prices_has_the_contracted_price_as_its_list_price():
    day = day_usage("2026-11-03", 8_000, input_tokens=1, images=1)
    prices = {"input_tokens": Price(3_000_000), "images": Price(5_000_000)}
    rows = file_of(day, own_prices=prices, listed=[price_table(rate(4_000_000), id=1)])
    assert {row["x_QuantityKind"]: shown(row, "ListUnitPrice", "ContractedUnitPrice") for row in rows} == {
        "input_tokens": ("0.000004", "0.000003"),
        "images": ("0.000005", "0.000005"),
    }


def test_a_cache_price_that_no_list_has_is_the_list_s_input_price():
    day = day_usage("2026-11-03", 2_000, cache_read_tokens=4)
    prices = {"input_tokens": Price(900_000), "cache_read_tokens": Price(500_000)}
    (row,) = file_of(day, own_prices=prices, listed=[price_table(rate(1_000_000), id=1)])
    assert shown(row, "ListUnitPrice", "ContractedUnitPrice", "ListCost") == ("0.000001", "0.0000005", "0.000004")


def test_a_list_price_in_another_unit_is_converted_to_the_unit_of_the_contract():
    # the list has $3.60 an hour, the contract $0.0005 a second: 10 s
    day = day_usage("2026-11-03", 5_000_000, compute_ms=10_000)
    listed = [price_table(rate(prices={"compute_ms": Price(3_600 * 10**9, 3_600_000)}), id=1)]
    (row,) = file_of(day, own_prices={"compute_ms": Price(500_000_000, 1_000)}, listed=listed)
    assert shown(row, "PricingUnit", "PricingQuantity", "ListUnitPrice", "ListCost", "ContractedCost") == (
        "Seconds",
        "10",
        "0.001",
        "0.01",
        "0.005",
    )


@pytest.mark.parametrize(
    ("price", "unit", "quantity", "unit_price", "cost"),
    [
        # 12,345 ms at one nano-dollar a millisecond are 12,345 nano-dollars
        (Price(1_000), "Seconds", "12.345", "0.000001", "0.000012345"),
        # at 7 nano-dollars for 7 ms the same: 1.763571... times 7 seconds, in twelve decimals
        (Price(7_000, 7), "7 Seconds", "1.763571428571", "0.000007", "0.000012344999999997"),
        (Price(2_000_000, 2_000), "2 Seconds", "6.1725", "0.000002", "0.000012345"),
        (Price(60_000_000, 60_000), "Minutes", "0.20575", "0.00006", "0.000012345"),
        (Price(10**12, 3_600_000), "Hours", "0.003429166667", "1", "0.003429166667"),
    ],
)
def test_time_is_priced_in_units_that_the_specification_lists(price, unit, quantity, unit_price, cost):
    of_time = rate(id=1, prices={"compute_ms": price})
    text = text_of(focus_csv(month_detail(day_usage("2026-11-03", 12_345, compute_ms=12_345), rates=[of_time], plan="")))
    assert violations(text) == []
    row = rows_of(text)[0]
    names = ("PricingUnit", "PricingQuantity", "ListUnitPrice", "ListCost", "ConsumedQuantity", "ConsumedUnit")
    assert shown(row, *names) == (unit, quantity, unit_price, cost, "12.345", "Seconds")


def test_cached_tokens_are_input_tokens_with_another_price():
    kinds = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "images")
    priced = rate(id=1, prices=dict.fromkeys(kinds, Price(1_000_000)), operation="chat")
    detail = month_detail(day_usage("2026-11-03", 6_000, **dict.fromkeys(kinds, 1)), rates=[priced], plan="")
    text = text_of(focus_csv(detail))
    assert violations(text) == []
    usage = [row for row in rows_of(text) if row["ChargeCategory"] == "Usage"]
    found = {row["x_QuantityKind"]: (row["SkuMeter"], json.loads(row["SkuPriceDetails"])) for row in usage}
    shared = {"x_Model": "llama", "x_Operation": "chat"}
    assert found == {
        "input_tokens": ("Input Tokens", shared | {"x_TokenDirection": "Input", "x_TokenCacheAction": "Uncached"}),
        "cache_read_tokens": ("Input Tokens", shared | {"x_TokenDirection": "Input", "x_TokenCacheAction": "Read"}),
        "cache_write_tokens": ("Input Tokens", shared | {"x_TokenDirection": "Input", "x_TokenCacheAction": "Write"}),
        "cache_write_1h_tokens": (
            "Input Tokens",
            shared | {"x_TokenDirection": "Input", "x_TokenCacheAction": "Write", "x_TokenCacheDuration": "1h"},
        ),
        "output_tokens": ("Output Tokens", shared | {"x_TokenDirection": "Output", "x_TokenCacheAction": "Uncached"}),
        "images": ("Images", shared),
    }


def test_the_price_details_name_the_context_tier():
    high = rate(2_000_000, id=1, context_from=200_000)
    row = rows_of(text_of(focus_csv(month_detail(day_usage("2026-11-03", 2_000, input_tokens=1), rates=[high], plan=""))))[0]
    assert json.loads(row["SkuPriceDetails"])["x_ContextTokensFrom"] == "200000"


def test_a_model_is_a_resource_without_another_name():
    usage, *_, fee, _credit = rows_of(text_of(focus_csv(example_1())))
    assert shown(usage, "ResourceId", "ResourceName", "ResourceType") == ("llama", "", "Model")
    assert shown(fee, "ResourceId", "ResourceName", "SkuPriceDetails") == ("", "", '{"x_Plan":"pro"}')


def test_a_prorated_fee_is_charged_from_the_day_it_starts():
    (fee,) = rows_of(text_of(focus_csv(example_6())))
    assert shown(fee, "ChargePeriodStart", "ChargePeriodEnd", "BilledCost") == (
        "2026-11-16T00:00:00Z",
        "2026-12-01T00:00:00Z",
        "4.5",
    )
    assert shown(fee, "BillingPeriodStart", "BillingPeriodEnd") == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")


def test_each_fee_of_a_month_has_its_own_period():
    # free until the 6th, PRO until the 20th, a team from then on; the fee of October taken back
    fees = (FeeLine("pro", 1, date(2026, 11, 6), 15, 30, 450), FeeLine("team", 2, date(2026, 11, 21), 10, 30, 1_333))
    lines = (
        other(StatementLineKind.SUBSCRIPTION, "Subscription pro, 15 of 30 days", 4_5 * DOLLAR // 10),
        other(StatementLineKind.SUBSCRIPTION, "Subscription team, 10 of 30 days", 1_333 * DOLLAR // 100),
        other(StatementLineKind.SUBSCRIPTION, "Subscription pro, taken back", -9 * DOLLAR, origin_month=202610),
    )
    plan = PlanMonth(202611, "team", 2, fees, 4_000_000_000, True, True)
    text = text_of(focus_csv(by_hand(*lines, plan=plan, total_cents=883, **CLOSED)))
    assert violations(text, payable=Decimal("8.83")) == []
    assert [shown(row, "SkuId", "ChargePeriodStart", "ChargePeriodEnd") for row in rows_of(text)] == [
        ("subscription/pro", "2026-11-06T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("subscription/team", "2026-11-21T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("subscription/team", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    ]


used = st.dictionaries(st.sampled_from(PRICED_KINDS), st.integers(1, 10**9), min_size=1)
prices = st.builds(Price, st.integers(0, 10**9), st.sampled_from([1, 7, 1_000, 60_000, 3_600_000, 1_000_000]))


@given(st.lists(st.tuples(st.integers(1, 30), used, st.integers(0, 10**13)), max_size=4), prices, prices)
def test_any_list_price_leaves_what_is_billed_as_it_is(found, own, listed):
    """Products are exact under both prices, in every pair of units; the BilledCost does not depend on the list price."""
    of_account = rate(id=1, table_id=AGREED, prices=dict.fromkeys(PRICED_KINDS, own))
    of_all = price_table(rate(prices=dict.fromkeys(PRICED_KINDS, listed)), id=1)
    days = [day_usage(f"2026-11-{day:02}", nano, **quantities) for day, quantities, nano in found]
    detail = month_detail(*days, rates=[of_account], plan="pro")
    text = text_of(focus_csv(replace(detail, list_prices=ListPrices({AGREED: "contract"}, (of_all,)))))
    assert violations(text) == []
    assert exact_sum(row["BilledCost"] for row in rows_of(text)) == Decimal(detail.statement.total_cents) / 100
    assert {row["PricingCategory"] for row in rows_of(text) if row["ChargeCategory"] == "Usage"} <= {"Standard"}

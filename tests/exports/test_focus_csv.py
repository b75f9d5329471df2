"""A FOCUS file follows the specification and adds up to the statement's total."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from metering.domain.statements.statements import StatementLineKind
from metering.domain.usage.events import PriceGrade
from metering.exports.errors import ExportSumError
from metering.exports.focus_columns import COLUMNS, FocusVersion
from metering.exports.focus_csv import focus_csv
from pricing.quantities import PRICED_KINDS
from pricing.rates import Price
from support.builders import CLOSED, day_usage, month_detail, rate
from support.exported_files import exact_sum, text_of
from support.focus_rules import NEVER_NULL, rows_of, violations
from support.places import ROOT
from support.statement_examples import DOLLAR, EXAMPLES, by_hand, example_1, example_7, example_9, example_10, other


def rows(detail):
    return rows_of(text_of(focus_csv(detail)))


def shown(row, *names):
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("number", EXAMPLES)
def test_each_worked_example_follows_the_rules_and_adds_up_to_its_total(number):
    make, cents = EXAMPLES[number]
    text = text_of(focus_csv(make()))
    assert violations(text, payable=Decimal(cents) / 100) == []
    assert exact_sum(row["BilledCost"] for row in rows_of(text)) == Decimal(cents) / 100


def test_example_1_row_by_row():
    *usage, fee, credit = rows(example_1())
    assert [shown(row, "ChargePeriodStart", "ChargePeriodEnd") for row in (usage[0], usage[29])] == [
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),
        ("2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
    ]
    assert len(usage) == 30
    # $0.90 per million tokens
    expected = ("Usage", "1000000", "Tokens", "0.0000009", "0.9", "1000000", "Tokens")
    columns = ("ChargeCategory", "PricingQuantity", "PricingUnit", "ListUnitPrice", "BilledCost")
    assert {shown(row, *columns, "ConsumedQuantity", "ConsumedUnit") for row in usage} == {expected}
    assert shown(fee, "ChargeCategory", "ChargeFrequency", "BilledCost", "SkuId") == (
        "Purchase",
        "Recurring",
        "9",
        "subscription/pro",
    )
    assert shown(credit, "ChargeCategory", "BilledCost", "EffectiveCost") == ("Credit", "-2", "-2")


def test_example_7_is_a_correction_in_october_billed_in_november():
    (row,) = rows(example_7())
    assert shown(row, "ChargeCategory", "ChargeClass", "BilledCost", "x_OriginMonth") == (
        "Usage",
        "Correction",
        "0.9",
        "2026-10",
    )
    assert shown(row, "ChargePeriodStart", "BillingPeriodStart") == ("2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z")
    assert row["InvoiceId"] == "acme/2026-11"


def test_example_10_reverses_usage_and_restores_credits():
    found = [shown(row, "ChargeCategory", "ChargeClass", "BilledCost") for row in rows(example_10())]
    assert found == [
        ("Usage", "Correction", "-26"),
        ("Purchase", "", "9"),
        ("Credit", "Correction", "1"),
        ("Adjustment", "", "16"),
    ]


def test_the_rounding_of_requests_is_a_separate_adjustment():
    # three requests of one token: 3 x 37,500 pico-dollars, and 38 nano-dollars charged for each
    usage, rounding, to_cents = rows(example_9())
    assert shown(usage, "ListUnitPrice", "PricingQuantity", "ListCost") == ("0.0000000375", "3", "0.0000001125")
    assert shown(rounding, "ChargeCategory", "BilledCost", "x_RateId") == ("Adjustment", "0.0000000015", "1")
    # the free plan includes nothing in November 2026, so all of it is rounded away to cents
    assert shown(to_cents, "ChargeCategory", "BilledCost") == ("Adjustment", "-0.000000114")


def test_a_price_per_hour_gives_the_product_of_the_written_numbers_and_the_rest_is_rounding():
    # 1 ms of $1.00 an hour is 2.77e-7 hours: twelve decimals of it are 0.000000277778
    hourly = rate(id=1, prices={"compute_ms": Price(10**12, 3_600_000)})
    detail = month_detail(day_usage("2026-11-03", 278, compute_ms=1), rates=[hourly], plan="")
    text = text_of(focus_csv(detail))
    usage, rounding = rows_of(text)[:2]
    assert shown(usage, "PricingQuantity", "PricingUnit", "ListCost") == ("0.000000277778", "Hours", "0.000000277778")
    assert shown(usage, "ConsumedQuantity", "ConsumedUnit") == ("0.001", "Seconds")
    assert rounding["BilledCost"] == "0.000000000222"
    assert violations(text) == []


def test_a_price_per_second_divides_milliseconds_exactly():
    # 10.001 s at $0.00012 a second
    by_second = rate(id=1, prices={"compute_ms": Price(120_000_000, 1_000)})
    row = rows(month_detail(day_usage("2026-11-03", 1_200_120, compute_ms=10_001), rates=[by_second], plan=""))[0]
    assert shown(row, "PricingQuantity", "PricingUnit", "ListCost") == ("10.001", "Seconds", "0.00120012")


def test_usage_on_a_provider_key_is_billed_by_the_provider():
    partner = day_usage("2026-11-03", 1_000_000, route="provider_key", billable=0, input_tokens=1_000)
    text = text_of(focus_csv(month_detail(partner, **CLOSED)))
    row = rows_of(text)[0]
    assert shown(row, "BilledCost", "EffectiveCost", "ListCost") == ("0", "0.001", "0.001")
    assert shown(row, "ProviderName", "InvoiceIssuerName", "InvoiceId") == ("Hugging Face", "together", "")
    assert violations(text, payable=Decimal(9)) == []


def test_usage_without_a_price_or_route_has_no_row():
    unpriced = day_usage(rate_id=0, price_grade=PriceGrade.UNPRICED, input_tokens=5)
    unrouted = day_usage(amount_nano=5_000, route="unknown", billable=0, input_tokens=5)
    failed = day_usage(rate_id=0, price_grade=PriceGrade.EXEMPT, billable=0)
    assert [row["ChargeCategory"] for row in rows(month_detail(unpriced, unrouted, failed))] == ["Purchase"]


def test_a_reported_cost_is_a_quantity_of_dollars_at_one_dollar():
    reported = day_usage("2026-11-03", 1_234_567_891, events=2, rate_id=0, price_grade=PriceGrade.REPORTED, input_tokens=9)
    text = text_of(focus_csv(month_detail(reported, plan="")))
    assert violations(text) == []
    row = rows_of(text)[0]
    assert shown(row, "PricingQuantity", "PricingUnit", "ListUnitPrice", "BilledCost") == (
        "1.234567891",
        "USD",
        "1",
        "1.234567891",
    )
    assert shown(row, "PricingCategory", "ConsumedQuantity", "ConsumedUnit") == ("Other", "2", "Requests")


def test_projects_and_tags_are_sub_accounts_and_tags():
    days = [day_usage(project="search", key="prod-1", tags='{"team":"k\\u00f6ln"}', input_tokens=1, amount_nano=1_000)]
    row = rows(month_detail(*days))[0]
    assert shown(row, "SubAccountId", "SubAccountType", "x_Key") == ("search", "Project", "prod-1")
    assert json.loads(row["Tags"]) == {"team": "köln"}


def test_tags_above_the_cap_on_series_are_null():
    row = rows(month_detail(day_usage(project="(other)", key="(other)", tags="(other)", input_tokens=1, amount_nano=1_000)))[0]
    assert shown(row, "SubAccountId", "Tags") == ("(other)", "")


def test_context_tiers_are_prices_of_one_sku():
    low = rate(id=1)
    high = rate(2_000_000, id=2, context_from=200_000)
    days = [day_usage(input_tokens=1, amount_nano=1_000), day_usage(rate_id=2, input_tokens=1, amount_nano=2_000)]
    text = text_of(focus_csv(month_detail(*days, rates=[low, high])))
    usage = [row for row in rows_of(text) if row["ChargeCategory"] == "Usage"]
    assert [row["SkuPriceId"] for row in usage] == [
        "together/llama/any/input_tokens",
        "together/llama/any/input_tokens/from-200000",
    ]
    assert violations(text) == []


def test_an_unknown_fee_has_no_row():
    assert rows(month_detail(plan="team", month=202609)) == []


def test_adjustments_and_amounts_carried_forward_are_adjustments():
    lines = (
        other(StatementLineKind.ADJUSTMENT, "Reconciliation of 2026-10", -3 * DOLLAR, origin_month=202610),
        other(StatementLineKind.SUBSCRIPTION, "Subscription pro, taken back", -9 * DOLLAR, origin_month=202610),
        other(StatementLineKind.SUBSCRIPTION, "Subscription pro", 30 * DOLLAR),
        other(StatementLineKind.CARRIED_FORWARD, "Carried forward from 2026-10", -16 * DOLLAR),
    )
    text = text_of(focus_csv(by_hand(*lines, total_cents=200, **CLOSED)))
    assert violations(text, payable=Decimal(2)) == []
    found = [shown(row, "ChargeCategory", "ChargeClass", "BilledCost", "PricingQuantity") for row in rows_of(text)]
    assert found == [
        ("Adjustment", "Correction", "-3", ""),
        ("Purchase", "Correction", "-9", "-1"),
        ("Purchase", "", "30", "1"),
        ("Adjustment", "", "-16", ""),
    ]


def test_version_1_3_has_its_own_column_names():
    text = text_of(focus_csv(example_1(), FocusVersion.V1_3))
    assert violations(text, "1.3") == []
    assert "ProviderName is missing" in violations(text)
    assert rows_of(text, "1.3") == rows(example_1())


def test_names_that_a_spreadsheet_would_execute_are_escaped():
    detail = month_detail(day_usage(model="=cmd", project="@x", input_tokens=1, amount_nano=1_000), account="+1")
    row = rows(detail)[0]
    assert shown(row, "BillingAccountId", "ResourceId", "SubAccountId") == ("'+1", "'=cmd", "'@x")


def test_a_file_that_would_not_agree_with_its_statement_is_not_written():
    detail = example_1()
    wrong = replace(detail, statement=replace(detail.statement, total_cents=3_399))
    with pytest.raises(ExportSumError, match="add up to 34 USD"):
        text_of(focus_csv(wrong))


used = st.dictionaries(st.sampled_from(PRICED_KINDS), st.integers(1, 10**9), min_size=1)
days = st.tuples(st.integers(1, 30), used, st.integers(0, 10**13), st.sampled_from(["routed", "provider_key", "serverless"]))
prices = st.builds(Price, st.integers(0, 10**9), st.sampled_from([1, 7, 1_000, 60_000, 3_600_000, 1_000_000]))


@given(st.lists(days, max_size=6), prices, st.sampled_from(["pro", ""]), st.booleans())
def test_any_usage_follows_the_rules_and_adds_up_to_the_total(found, price, plan, is_closed):
    any_kind = rate(id=1, prices=dict.fromkeys(PRICED_KINDS, price))
    detail = month_detail(
        *(
            day_usage(f"2026-11-{day:02}", nano, route=route, billable=int(route != "provider_key"), **quantities)
            for day, quantities, nano, route in found
        ),
        rates=[any_kind],
        plan=plan,
        **(CLOSED if is_closed else {}),
    )
    payable = Decimal(detail.statement.total_cents) / 100
    text = text_of(focus_csv(detail))
    assert violations(text, payable=payable) == []
    assert exact_sum(row["BilledCost"] for row in rows_of(text)) == payable


def test_every_column_is_documented_in_order_with_whether_it_can_be_null():
    section = (ROOT / "docs" / "focus.md").read_text().partition("## Columns\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \| (yes|no) \|", section, re.MULTILINE)
    assert tuple(name for name, _ in documented) == COLUMNS
    never_null = {name for name, nullable in documented if nullable == "no"}
    assert never_null >= NEVER_NULL
    for make, _ in EXAMPLES.values():
        assert {name for row in rows(make()) for name, cell in row.items() if cell == ""} & never_null == set()

"""A statement's lines add up to its total exactly; usage that is excluded from the total is listed separately."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.accounts.plan_history import PlanChange, plan_month
from metering.domain.credits.credits import MonthUsage, burn_credits
from metering.domain.statements.statements import Flag, StatementLineKind, UsageSums, draft_statement
from metering.domain.usage.events import PriceGrade, QuantityGrade
from pricing.bundled import bundled_plans
from pricing.money import PICO_PER_CENT, PICO_PER_NANO
from pricing.quantities import ALL_KINDS
from pricing.rates import Price, Rate

OCTOBER, NOVEMBER = 202610, 202611
MODEL = "meta-llama/Llama-3-70b-chat-hf"


def rate(number=1, *, model=MODEL, **prices):
    prices = prices or {"input_tokens": Price(900_000), "output_tokens": Price(900_000)}
    return Rate(id=number, provider="together", model=model, prices=prices, source="a test")


def sums(amount_nano, *, rate_id=1, events=1, model=MODEL, route="routed", grade=PriceGrade.RATED, billable=True, **used):
    return UsageSums(
        route=route,
        provider="together",
        model=model,
        operation="chat",
        rate_id=rate_id,
        price_grade=grade,
        quantity_grade=QuantityGrade.MEASURED,
        billable=billable,
        events=events,
        quantities=tuple(used.get(kind, 0) for kind in ALL_KINDS),
        amount_nano=amount_nano,
    )


def statement(*usage, plan="pro", rates=None, since=date(2026, 11, 1), in_month=NOVEMBER):
    month = plan_month([PlanChange(since, plan)] if plan else [], in_month, bundled_plans())
    billable = sum(item.amount_nano for item in usage if item.billable)
    (credits_of_month,) = burn_credits([MonthUsage(in_month, billable, month.included_credit_nano or 0)], [])
    return draft_statement("acme", month, usage, credits_of_month, rates or {1: rate()})


def shown(result):
    return [(line.kind.value, line.amount_pico) for line in result.lines]


def test_the_pro_account_of_worked_example_1():
    result = statement(sums(27_000_000_000, events=30, input_tokens=30_000_000))
    assert shown(result) == [
        ("usage", 27_000_000_000_000),
        ("subscription", 9_000_000_000_000),
        ("credit", -2_000_000_000_000),
        ("residual", 0),
        ("total", 34_000_000_000_000),
    ]
    assert (result.usage_payable_nano, result.total_cents) == (25_000_000_000, 3_400)
    assert Flag.BEYOND_PLAN not in result.flags


def test_a_free_account_beyond_its_credits_is_flagged():
    result = statement(sums(27_000_000_000, input_tokens=30_000_000), plan=None, in_month=OCTOBER)
    assert (result.total_cents, Flag.BEYOND_PLAN in result.flags) == (2_690, True)


def test_the_free_plan_includes_nothing_since_november_2026():
    result = statement(sums(27_000_000_000, input_tokens=30_000_000), plan=None)
    assert (result.total_cents, result.credits.applied, Flag.BEYOND_PLAN in result.flags) == (2_700, (), True)


def test_the_rounding_of_requests_is_a_separate_line():
    cheap = rate(input_tokens=Price(37_500))
    result = statement(sums(114, events=3, input_tokens=3), rates={1: cheap})
    usage, rounding = result.lines[:2]
    assert (usage.kind, usage.quantity, usage.price_pico, usage.amount_pico) == (StatementLineKind.USAGE, 3, 37_500, 112_500)
    assert (rounding.kind, rounding.amount_pico) == (StatementLineKind.ROUNDING, 1_500)


def test_the_remainder_of_a_price_per_hour_goes_to_the_rounding_line():
    # 1 ms of $1.00 an hour is 277,777.7 pico-dollars, and the request was charged 278 nano-dollars
    hourly = rate(compute_ms=Price(1_000_000_000_000, 3_600_000))
    result = statement(sums(278, compute_ms=1), rates={1: hourly})
    assert [line.amount_pico for line in result.lines[:2]] == [277_777, 223]


def test_usage_on_a_provider_key_is_listed_and_not_payable():
    result = statement(sums(5_000_000_000, input_tokens=5, route="provider_key", billable=False), plan=None)
    assert (result.total_cents, result.owed_to_partners_nano) == (0, 5_000_000_000)
    assert sum(line.amount_pico for line in result.owed_to_partners) == 5_000_000_000_000
    assert result.credits.applied == ()


def test_unpriced_usage_and_usage_of_unknown_route_are_excluded_from_the_total():
    result = statement(
        sums(0, rate_id=0, events=2, grade=PriceGrade.UNPRICED, model="new/model", input_tokens=70, output_tokens=7),
        sums(0, rate_id=0, events=4, grade=PriceGrade.UNPRICED, route="unknown", billable=False, input_tokens=9),
    )
    (unpriced,) = result.unpriced
    assert (unpriced.model, unpriced.events, unpriced.tokens, unpriced.amount_nano) == ("new/model", 2, 77, None)
    assert [usage.events for usage in result.route_unknown] == [4]
    assert {Flag.UNPRICED_USAGE, Flag.ROUTE_UNKNOWN} <= result.flags


def test_failures_are_counted_and_cost_nothing():
    result = statement(sums(0, rate_id=0, events=12, grade=PriceGrade.EXEMPT, billable=False), plan=None)
    assert (result.failed_events, result.events, result.total_cents) == (12, 12, 0)


def test_a_cost_reported_by_the_provider_is_a_line_without_a_rate():
    result = statement(sums(1_234_567_890, rate_id=0, events=2, grade=PriceGrade.REPORTED, input_tokens=9), plan=None)
    assert (result.lines[0].kind, result.lines[0].amount_pico, result.lines[0].rate) == (
        StatementLineKind.REPORTED,
        1_234_567_890_000,
        None,
    )


def test_an_unknown_fee_is_a_line_without_an_amount():
    result = statement(plan="team", since=date(2026, 9, 1), in_month=202609)
    assert (result.lines[0].kind, result.lines[0].amount_pico) == (StatementLineKind.SUBSCRIPTION, None)
    assert Flag.FEE_UNKNOWN in result.flags


def test_the_total_is_rounded_half_away_from_zero_and_the_residual_is_the_difference():
    half_a_cent = statement(sums(5_000_000, input_tokens=1), plan=None, in_month=OCTOBER)
    # $0.005 of usage, paid by the $0.10 that the free plan includes
    assert half_a_cent.total_cents == 0
    beyond = statement(sums(105_000_000, input_tokens=1), plan=None, in_month=OCTOBER)
    assert (beyond.total_cents, beyond.residual_pico) == (1, 5_000_000_000)


def test_an_assumed_cache_price_is_flagged():
    result = statement(sums(90_000_000, input_tokens=50, cache_read_tokens=50))
    assert [(line.quantity_kind, line.price_assumed) for line in result.lines[:2]] == [
        ("input_tokens", False),
        ("cache_read_tokens", True),
    ]
    assert Flag.CACHE_PRICE_ASSUMED in result.flags


amounts = st.integers(0, 10**15)


@given(st.lists(st.tuples(amounts, st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5), st.sampled_from(["pro", None]))
def test_the_lines_above_the_total_add_up_to_it_exactly(usage, plan):
    rates = {number: rate(number, model=f"m{number}") for number in range(1, len(usage) + 1)}
    result = statement(
        *(
            sums(nano, rate_id=number, model=f"m{number}", input_tokens=given_in, output_tokens=given_out)
            for number, (nano, given_in, given_out) in enumerate(usage, 1)
        ),
        plan=plan,
        rates=rates,
    )
    above = [line.amount_pico for line in result.lines if line.kind is not StatementLineKind.TOTAL]
    assert sum(above) == result.lines[-1].amount_pico == result.total_cents * PICO_PER_CENT
    billed = sum(
        line.amount_pico
        for line in result.lines
        if line.kind in (StatementLineKind.USAGE, StatementLineKind.ROUNDING, StatementLineKind.REPORTED)
    )
    assert billed == result.usage_nano * PICO_PER_NANO == sum(nano for nano, _, _ in usage) * PICO_PER_NANO

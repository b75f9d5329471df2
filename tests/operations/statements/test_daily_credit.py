"""A plan with a daily credit, from the plan sheet to the closed statement, its ledger, and `verify`."""

from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.statements.statement_record import canonical_form, record_of
from metering.operations.accounts.manage_plans import set_plan
from metering.operations.credits.evaluate_credits import CreditAlertPolicy, evaluate_credits
from metering.operations.credits.grant_credits import show_credits
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.statements.close_month import CloseOptions, close_month
from metering.operations.statements.show_statement import show_statement
from pricing.plans import PlanCatalog
from pricing.quantities import Quantities
from pricing.sources.plan_sheet import parse_plans
from support.builders import instant, usage_event
from support.presence import present

SHEET = """\
plans:
  - plan: free
    rank: 0
    per_seat: false
    versions:
      - from: 2025-01-01
        fee_usd: "0.00"
        included_credit_usd: "0.10"
        pay_as_you_go: purchased_credits
        credits_pay_elsewhere: false
        source: a test
      - from: 2026-10-01
        fee_usd: "0.00"
        included_credit_usd: "0.10"
        included_credit_per: day
        pay_as_you_go: purchased_credits
        credits_pay_elsewhere: false
        source: a test
  - plan: pro
    rank: 1
    per_seat: false
    versions:
      - from: 2025-01-01
        fee_usd: "9.00"
        included_credit_usd: "2.00"
        pay_as_you_go: invoiced
        credits_pay_elsewhere: false
        source: a test
"""
PLANS = PlanCatalog(parse_plans(SHEET, name="plans.yaml"))
CENT = 10_000_000
OCTOBER, NOVEMBER = 202610, 202611


@pytest.fixture
def daily(meter):
    """$0.04 on 3 October, $0.25 on 5 October, in two requests."""
    meter.now = instant("2026-11-04T00:00:00Z")
    spend(meter, 4, "2026-10-03T23:59:59Z")
    spend(meter, 20, "2026-10-05T00:00:00Z")
    spend(meter, 5, "2026-10-05T12:00:00Z")
    return meter


def spend(meter, cents, time):
    """Spend cents: `llama` costs $1.00 a million tokens."""
    meter.ingest(usage_event(time=instant(time), quantities=Quantities(input_tokens=cents * 10_000)))


def statement(meter, month):
    return show_statement(meter.engine, "acme", month, PLANS)


def close(meter, month):
    return close_month(meter.engine, "acme", month, CloseOptions(PLANS), now=meter.now)[-1]


def credit_lines(shown):
    return [(line.description, line.amount_pico // 1_000) for line in shown.lines if line.kind.value == "credit"]


def test_each_day_pays_up_to_its_credit_and_the_statement_shows_their_sum(daily):
    draft = statement(daily, OCTOBER)
    # $0.04 and $0.10 of $0.29.
    assert credit_lines(draft) == [("Included daily credit, 2 days", -14 * CENT)]
    assert (draft.total_cents, draft.credits.uncovered_nano) == (15, 15 * CENT)
    closed = close(daily, OCTOBER)
    assert (credit_lines(closed), closed.total_cents, closed.plan) == (credit_lines(draft), 15, draft.plan)
    assert '"daily_credits":[{"credit_usd":"0.100000000000","days":31,"first_day":"2026-10-01"' in canonical_form(
        record_of(closed, closed.closed_at)
    ).decode()  # fmt: skip
    assert daily.violations() == []


def test_the_ledger_grants_every_day_and_expires_what_is_left_with_it(daily):
    close(daily, OCTOBER)
    rows = [row.entry for row in show_ledger(daily.engine, "acme")]
    of = {kind: [entry for entry in rows if entry.kind.value == kind] for kind in ("grant", "apply", "expire")}
    assert (len(of["grant"]), sum(entry.amount_nano for entry in of["grant"])) == (31, 310 * CENT)
    assert [entry.amount_nano for entry in of["apply"]] == [-4 * CENT, -10 * CENT]
    assert sum(entry.amount_nano for entry in of["expire"]) == -296 * CENT
    assert all(present(entry.grant.expires_at) - entry.grant.granted_at == 86_400_000_000 for entry in rows)


def test_late_usage_of_a_closed_month_gets_the_credit_of_its_day(daily):
    digest = close(daily, OCTOBER).digest
    spend(daily, 30, "2026-10-07T00:00:00Z")
    draft = statement(daily, NOVEMBER)
    assert credit_lines(draft) == [("Included daily credit applied to 2026-10", -10 * CENT)]
    assert draft.total_cents == 20
    daily.now = instant("2026-12-04T00:00:00Z")
    close(daily, NOVEMBER)
    assert statement(daily, OCTOBER).digest == digest
    assert daily.violations() == []


def test_what_is_left_at_an_instant_is_left_of_its_day(daily):
    left = {time: [each.left_nano for each in credits_at(daily.engine, "acme", instant(time), PLANS).grants] for time in (
        "2026-09-30T00:00:00Z", "2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z", "2026-10-05T13:00:00Z",
    )}  # fmt: skip
    assert list(left.values()) == [[10 * CENT], [10 * CENT], [10 * CENT], [10 * CENT], []]
    just_after = credits_at(daily.engine, "acme", instant("2026-10-03T23:59:59.000001Z"), PLANS)
    assert just_after.left_nano == 6 * CENT


def test_the_summary_says_what_the_days_gave_and_paid(daily):
    included = show_credits(daily.engine, "acme", OCTOBER, PLANS).included
    assert (included.included_nano, included.applied_nano, included.left_nano) == (0, 0, 0)
    assert (included.daily_nano, included.daily_applied_nano, included.topped_nano) == (310 * CENT, 14 * CENT, 0)


def test_an_upgrade_tops_up_what_the_days_paid(daily):
    set_plan(daily.engine, "acme", PlanChange(date(2026, 10, 6), "pro"), PLANS, now=daily.now)
    spend(daily, 300, "2026-10-10T00:00:00Z")
    # $3.29, of which credits pay $2.00: $0.04 and $0.10 by day, $1.86 by month.
    assert credit_lines(statement(daily, OCTOBER)) == [
        ("Included daily credit, 2 days", -14 * CENT),
        ("Included credit", -186 * CENT),
    ]
    close(daily, OCTOBER)
    assert daily.violations() == []


def test_credits_run_out_with_the_day_that_they_are_for(meter):
    policy = CreditAlertPolicy(PLANS)
    meter.now = instant("2026-10-05T12:00:00Z")
    spend(meter, 9, "2026-10-04T12:00:00Z")
    assert evaluate_credits(meter.engine, policy, now=meter.now).raised == 0
    spend(meter, 10, "2026-10-05T11:00:00Z")
    # Past the low mark to nothing: both.
    assert evaluate_credits(meter.engine, policy, now=meter.now).raised == 2


steps = st.lists(
    st.tuples(st.sampled_from(["spend", "spend", "spend", "close"]), st.integers(0, 60), st.integers(1, 25)), max_size=12
)


@given(steps)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_order_of_usage_and_closing_each_day_pays_the_lesser_of_its_credit_and_its_usage(new_meter, taken):
    meter = new_meter()
    used: dict[Any, int] = {}
    closed: dict[Any, Any] = {}
    meter.declare("acme")
    meter.record_prices()
    meter.now = instant("2027-01-02T00:00:00Z")
    spend(meter, 1, "2026-10-01T00:00:00Z")
    used[0] = 1
    for what, day, cents in taken:
        if what == "spend":
            time = instant("2026-10-01T06:00:00Z") + day * 86_400_000_000
            meter.ingest(usage_event(time=time, quantities=Quantities(input_tokens=cents * 10_000)))
            used[day] = used.get(day, 0) + cents
        elif len(closed) < 2:
            month = (OCTOBER, NOVEMBER)[len(closed)]
            closed[month] = close(meter, month).digest
    assert meter.violations() == []
    assert {month: statement(meter, month).digest for month in closed} == closed
    paid = sum(statement(meter, month).credits_nano for month in (OCTOBER, NOVEMBER, 202612))
    assert paid == sum(min(10, cents) for cents in used.values()) * CENT

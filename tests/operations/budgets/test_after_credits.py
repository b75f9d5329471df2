"""A budget after credits counts what the statement of its month has of usage after credits, late usage included."""

from datetime import date

import pytest

from metering.domain.budgets.budgets import BudgetBasis, BudgetTerms
from metering.domain.instants import day_number
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, create_budget, show_budget
from metering.storage.tables import alerts
from pricing.quantities import Quantities
from support.builders import instant, usage_event
from support.meter import PLANS

USD, CENT = 1_000_000_000, 10_000_000
OCTOBER, NOVEMBER = instant("2026-10-20T00:00:00Z"), instant("2026-11-10T00:00:00Z")


class Account:
    """``acme`` on the free plan, with $0.10 of credits until October, and a budget after credits of three dollars."""

    def __init__(self, meter):
        self.meter = meter
        self.evaluator = BudgetEvaluator(meter.engine, PLANS, lambda: meter.now)
        meter.now = NOVEMBER
        terms = BudgetTerms(amount_nano=3 * USD, basis=BudgetBasis.AFTER_CREDITS, thresholds=(100,))
        self.budget = create_budget(meter.engine, "acme", terms, Author("test", meter.now), PLANS).budget.id

    def use(self, cents, time, **fields):
        self.meter.ingest(usage_event(time=time, quantities=Quantities(input_tokens=cents * 10_000), **fields))
        self.evaluator.evaluate()

    def counted(self, day="2026-11-10"):
        number = day_number(date.fromisoformat(day))
        return show_budget(self.meter.engine, self.budget, PLANS, now=self.meter.now, day=number)[0].state.spent_nano

    def close_october(self):
        self.meter.close(202610)

    def fired(self):
        return [row.period for row in self.meter.rows(alerts.select().order_by(alerts.c.id)) if row.type.startswith("budget")]


@pytest.fixture
def acme(meter):
    return Account(meter)


def test_late_usage_of_a_closed_month_counts_in_the_month_that_bills_it(acme):
    acme.use(40, OCTOBER)
    acme.use(250, NOVEMBER)
    acme.close_october()
    assert (acme.counted("2026-10-01"), acme.counted()) == (30 * CENT, 250 * CENT)
    # October's credits are used up: its fifty cents are payable in November, and the budget alerts at once
    acme.use(50, OCTOBER)
    assert acme.counted() == 3 * USD == acme.meter.statement(202611).usage_payable_nano
    assert acme.counted("2026-10-01") == 30 * CENT == acme.meter.statement(202610).usage_payable_nano
    assert acme.fired() == ["2026-11"]


def test_late_usage_of_a_month_that_is_open_counts_in_that_month(acme):
    acme.use(250, NOVEMBER)
    acme.use(60, OCTOBER)
    assert (acme.counted("2026-10-01"), acme.counted()) == (50 * CENT, 250 * CENT)
    assert acme.fired() == []


def test_credits_restored_to_a_closed_month_and_adjustments_count_where_they_are_billed(acme):
    acme.use(40, OCTOBER)
    acme.close_october()
    acme.use(110, NOVEMBER)
    acme.meter.adjust(202610, -35 * CENT)
    # October used $0.40 and now $0.05: of its $0.10 of credits $0.05 are restored, so November's statement has -$0.30 less
    statement = acme.meter.statement(202611)
    assert acme.counted() == statement.usage_payable_nano == (110 - 35 + 5) * CENT


def test_a_closed_month_counts_as_it_was_closed(acme):
    acme.use(40, OCTOBER)
    acme.use(25, NOVEMBER)
    acme.close_october()
    acme.meter.now = instant("2026-12-05T00:00:00Z")
    acme.meter.close(202611)
    acme.use(500, NOVEMBER)
    assert acme.counted() == 25 * CENT == acme.meter.statement(202611).usage_payable_nano
    assert acme.counted("2026-12-01") == 5 * USD == acme.meter.statement(202612).usage_payable_nano
    assert acme.fired() == ["2026-12"]


def test_usage_that_a_provider_bills_counts_in_no_month(acme):
    acme.use(900, NOVEMBER, route="provider_key")
    acme.use(10, NOVEMBER)
    assert acme.counted() == 10 * CENT

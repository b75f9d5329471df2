"""A budget whose amount changes within a period raises its alerts again, for the new amount."""

import pytest

from metering.domain.budgets.budgets import Action, BudgetTerms, amount_number
from metering.domain.budgets.periods import Window, period_at
from metering.domain.instants import MICROS_PER_DAY
from metering.operations.alerts.list_alerts import list_alerts
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, change_budget, create_budget, show_budget
from pricing.quantities import Quantities
from support.builders import DAY, instant, usage_event
from support.meter import PLANS

USD = 1_000_000_000
BLOCKING = {"action": Action.BLOCK, "block_percent": 100}
ALL = [50, 80, 100, "blocked"]


class Account:
    """``acme`` with budgets and an evaluator."""

    def __init__(self, meter):
        self.meter = meter
        self.evaluator = self.another_evaluator()
        self._seen = 0

    def another_evaluator(self):
        return BudgetEvaluator(self.meter.engine, PLANS, lambda: self.meter.now)

    def budget(self, dollars, **terms):
        wanted = BudgetTerms(amount_nano=dollars * USD, **terms)
        return create_budget(self.meter.engine, "acme", wanted, Author("test", self.meter.now), PLANS).budget.id

    def change(self, budget_id, **changes):
        self.meter.now += 1
        change_budget(self.meter.engine, budget_id, changes, Author("test", self.meter.now), PLANS)

    def spend(self, dollars, time=None):
        used = Quantities(input_tokens=dollars * 1_000_000)
        self.meter.ingest(usage_event(time=time or self.meter.now, quantities=used))
        self.evaluator.evaluate()

    def state(self, budget_id):
        return show_budget(self.meter.engine, budget_id, PLANS, now=self.meter.now)[0].state

    def new_alerts(self):
        """What was raised since the last call, in order: percentages, ``blocked`` and ``forecast``."""
        alerts = sorted(list_alerts(self.meter.engine, limit=1_000), key=lambda each: each.id)
        new, self._seen = alerts[self._seen :], len(alerts)
        kinds = {"budget.threshold_reached": None, "budget.blocked": "blocked", "budget.forecast_exceeded": "forecast"}
        return [kinds[each.type] or each.threshold for each in new]


@pytest.fixture
def acme(meter):
    return Account(meter)


def test_a_raised_budget_alerts_on_the_new_amount_and_on_its_block(acme):
    budget = acme.budget(10, **BLOCKING)
    acme.spend(12)
    assert acme.new_alerts() == ALL
    acme.change(budget, amount_nano=100 * USD)
    assert acme.new_alerts() == []
    assert (acme.state(budget).fired, acme.state(budget).blocked) == ((), False)
    acme.spend(37)
    assert acme.new_alerts() == []
    acme.spend(1)
    assert acme.new_alerts() == [50]
    acme.spend(62)
    assert acme.new_alerts() == [80, 100, "blocked"]
    assert (acme.state(budget).fired, acme.state(budget).blocked) == ((50, 80, 100), True)
    acme.spend(500)
    assert acme.new_alerts() == []


def test_a_raise_that_is_already_used_up_alerts_at_once(acme):
    budget = acme.budget(10, **BLOCKING)
    acme.spend(12)
    acme.new_alerts()
    acme.change(budget, amount_nano=11 * USD)
    assert acme.new_alerts() == ALL
    acme.evaluator.evaluate_all()
    assert acme.new_alerts() == []


def test_a_lowered_budget_alerts_at_once_on_what_the_new_amount_has_reached(acme):
    budget = acme.budget(20, **BLOCKING)
    acme.spend(12)
    assert acme.new_alerts() == [50]
    acme.change(budget, amount_nano=14 * USD)
    assert acme.new_alerts() == [50, 80]
    acme.spend(2)
    assert acme.new_alerts() == [100, "blocked"]


def test_an_amount_that_returns_is_a_new_one(acme):
    budget = acme.budget(10, **BLOCKING)
    acme.spend(12)
    acme.new_alerts()
    acme.change(budget, amount_nano=100 * USD)
    acme.change(budget, amount_nano=10 * USD)
    assert acme.new_alerts() == ALL


def test_other_changes_raise_nothing_again(acme):
    budget = acme.budget(10, **BLOCKING)
    acme.spend(12)
    acme.new_alerts()
    acme.change(budget, name="all of it")
    acme.change(budget, amount_nano=10 * USD, thresholds=(50, 60, 100))
    assert acme.new_alerts() == [60]
    acme.change(budget, amount_nano=100 * USD, name="more")
    acme.change(budget, name="still more")
    acme.spend(60)
    assert acme.new_alerts() == [50, 60]
    acme.change(budget, name="more yet")
    assert acme.new_alerts() == []


def test_several_evaluators_raise_each_alert_once(acme):
    budget = acme.budget(10, **BLOCKING)
    others = [acme.another_evaluator() for _ in range(2)]
    acme.spend(12)
    for each in others:
        each.evaluate_all()
    assert acme.new_alerts() == ALL
    acme.change(budget, amount_nano=20 * USD)
    acme.spend(8)
    for each in (*others, acme.another_evaluator()):
        each.evaluate_all()
    assert acme.new_alerts() == [50, 80, 100, "blocked"]


def test_a_forecast_is_alerted_on_again_for_a_new_amount(acme):
    acme.meter.now = instant("2026-11-16T00:00:00Z")
    budget = acme.budget(10, thresholds=(), forecast_percent=100)
    acme.spend(6)
    acme.evaluator.evaluate_all()
    assert acme.new_alerts() == ["forecast"]
    acme.change(budget, amount_nano=100 * USD)
    assert acme.new_alerts() == []
    acme.change(budget, amount_nano=11 * USD)
    assert acme.new_alerts() == ["forecast"]
    acme.evaluator.evaluate_all()
    assert acme.new_alerts() == []


def test_a_change_of_another_period_raises_nothing_again(acme):
    """The amount of November was set in October, and changing it in December does not concern November."""
    acme.meter.now = instant("2026-10-20T00:00:00Z")
    budget = acme.budget(5)
    acme.change(budget, amount_nano=10 * USD)
    acme.meter.now = instant("2026-11-20T00:00:00Z")
    acme.spend(9)
    assert acme.new_alerts() == [50, 80]
    acme.meter.now = instant("2026-12-02T00:00:00Z")
    acme.change(budget, amount_nano=11 * USD)
    acme.spend(3, time=instant("2026-11-30T00:00:00Z"))
    assert acme.new_alerts() == [100]


def test_an_alert_that_occurs_again_keeps_the_name_of_its_period(acme):
    budget = acme.budget(10, thresholds=(100,))
    acme.spend(10)
    acme.change(budget, amount_nano=5 * USD)
    alerts = sorted(list_alerts(acme.meter.engine, limit=10), key=lambda each: each.id)
    assert [(each.period, each.threshold, each.occurrence) for each in alerts] == [("2026-11", 100, 0), ("2026-11", 100, 1)]
    assert {each.subject for each in alerts} == {f"budget:{budget}"}


@pytest.mark.parametrize("window", [Window.DAY, Window.WEEK, Window.MONTH, Window.QUARTER])
def test_amounts_are_numbered_from_the_start_of_the_period_to_its_end(window):
    period = period_at(window, instant("2026-11-18T00:00:00Z") // MICROS_PER_DAY)
    assert amount_number([], period) == 0
    assert amount_number([period.start - 1, period.end], period) == 0
    assert amount_number([period.start - DAY, period.start, period.end - 1, period.end], period) == 2

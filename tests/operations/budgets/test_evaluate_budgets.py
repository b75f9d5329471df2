"""Budgets are evaluated against counted usage: each threshold of each period once, in order, whenever the usage arrives."""

import json
from datetime import date

import pytest
from sqlalchemy import select

from metering.domain.budgets.budgets import Action, BudgetBasis, BudgetTerms
from metering.domain.budgets.periods import Window
from metering.domain.instants import day_number
from metering.operations.budgets.check_blocked import blocking_budgets
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, change_budget, create_budget, delete_budget, show_budget
from metering.storage.tables import alerts, touched_days
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, SECOND, instant, price_table, rate, usage_event

USD = 1_000_000_000
CATALOG = bundled_plans()


class Watched:
    """A meter with budgets, and an evaluator like that of a server."""

    def __init__(self, meter):
        self.meter = meter
        self.evaluator = BudgetEvaluator(meter.engine, CATALOG, lambda: meter.now)

    def budget(self, dollars, account="acme", **terms):
        details = create_budget(self.meter.engine, account, budget_terms(dollars, **terms), self.author, CATALOG)
        return details.budget.id

    def change(self, budget_id, dollars, **terms):
        changes = {"amount_nano": dollars * USD, **terms}
        change_budget(self.meter.engine, budget_id, changes, self.author, CATALOG)

    def spend(self, millidollars, time=None, **fields):
        """Ingest one request of this cost: a thousand input tokens cost a millidollar."""
        used = Quantities(input_tokens=millidollars * 1_000)
        self.meter.ingest(usage_event(quantities=used, **({} if time is None else {"time": time}), **fields))

    def state(self, budget_id, on=None):
        day = None if on is None else day_number(date.fromisoformat(on))
        return show_budget(self.meter.engine, budget_id, CATALOG, now=self.meter.now, day=day)[0].state

    def raised(self, *types):
        """The alerts in order, as (budget, period, percent). Default: those of thresholds."""
        wanted_types = types or ("budget.threshold_reached",)
        rows = self.meter.rows(select(alerts).where(alerts.c.type.in_(wanted_types)).order_by(alerts.c.id))
        return [(int(row.subject.split(":")[1]), row.period, row.threshold) for row in rows]

    def data(self, type_="budget.threshold_reached"):
        return [
            json.loads(row.data)
            for row in self.meter.rows(select(alerts.c.data).where(alerts.c.type == type_).order_by(alerts.c.id))
        ]

    @property
    def author(self):
        return Author("test", self.meter.now)


def budget_terms(dollars, **fields):
    return BudgetTerms(amount_nano=dollars * USD, **fields)


def day(text):
    return day_number(date.fromisoformat(text))


@pytest.fixture
def watched(meter):
    return Watched(meter)


def test_a_jump_past_several_thresholds_raises_each_alert_once_in_order(watched):
    budget = watched.budget(1)
    watched.spend(810)
    assert watched.evaluator.evaluate() == 2
    assert watched.raised() == [(budget, "2026-11", 50), (budget, "2026-11", 80)]
    watched.spend(10)
    assert watched.evaluator.evaluate() == 0
    watched.spend(180)
    assert watched.evaluator.evaluate() == 1
    assert watched.raised()[2:] == [(budget, "2026-11", 100)]


def test_evaluated_usage_is_not_evaluated_again(watched):
    watched.budget(1)
    watched.spend(100)
    watched.evaluator.finish()
    assert watched.meter.count(touched_days) == 0
    assert watched.evaluator.evaluate() == 0


def test_an_evaluator_continues_after_another_one_deleted_the_evaluated_rows(watched):
    """If SQLite reused ids, a new row would look evaluated."""
    budget = watched.budget(1)
    other = BudgetEvaluator(watched.meter.engine, CATALOG, lambda: watched.meter.now)
    watched.spend(100)
    watched.evaluator.evaluate()
    other.finish()
    watched.spend(500)
    assert watched.evaluator.evaluate() == 1
    assert watched.raised() == [(budget, "2026-11", 50)]


@pytest.mark.parametrize(
    ("window", "last", "period", "following"),
    [
        (Window.DAY, "2028-02-29T23:59:59.999999Z", "2028-02-29", "2028-03-01"),
        (Window.WEEK, "2027-01-03T23:59:59.999999Z", "2026-W53", "2027-W01"),
        (Window.MONTH, "2026-10-31T23:59:59.999999Z", "2026-10", "2026-11"),
        (Window.MONTH, "2028-02-29T23:59:59.999999Z", "2028-02", "2028-03"),
        (Window.QUARTER, "2026-12-31T23:59:59.999999Z", "2026-Q4", "2027-Q1"),
    ],
)
def test_an_event_on_a_boundary_counts_in_the_period_that_contains_it(watched, window, last, period, following):
    watched.meter.now = instant(last) + DAY
    budget = watched.budget(1, window=window, thresholds=(100,))
    watched.spend(1_000, instant(last))
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, period, 100)]
    watched.spend(999, instant(last) + 1)
    assert watched.evaluator.evaluate() == 0
    watched.spend(1, instant(last) + 1)
    watched.evaluator.evaluate()
    assert watched.raised()[1:] == [(budget, following, 100)]


def test_a_fixed_window_counts_its_days_and_excludes_the_day_before_and_its_end(watched):
    budget = watched.budget(1, window=Window.FIXED, first_day=day("2026-11-03"), end_day=day("2026-11-20"), thresholds=(100,))
    watched.spend(5_000, instant("2026-11-02T23:59:59.999999Z"))
    watched.spend(5_000, instant("2026-11-20T00:00:00Z"))
    assert watched.evaluator.evaluate() == 0
    watched.spend(500, instant("2026-11-03T00:00:00Z"))
    watched.spend(500, instant("2026-11-19T23:59:59.999999Z"))
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-11-03/2026-11-20", 100)]
    assert watched.state(budget).spent_nano == USD


def test_a_window_of_whole_and_partial_months_counts_each_day_once(watched):
    """Whole months come from monthly rollups, the days before and after them from daily ones."""
    budget = watched.budget(1, window=Window.FIXED, first_day=day("2026-08-15"), end_day=day("2026-11-20"))
    inside = ("08-15", "08-31", "09-01", "09-30", "10-01", "10-31", "11-01", "11-19")
    for place, text in enumerate(inside):
        watched.spend(2**place, instant(f"2026-{text}T00:00:00Z"))
    for text in ("08-14", "11-20"):
        watched.spend(10_000, instant(f"2026-{text}T00:00:00Z"))
    assert watched.state(budget).spent_nano == 255 * 1_000_000


def test_a_past_period_still_raises_alerts_marked_late(watched):
    budget = watched.budget(1, thresholds=(100,))
    watched.spend(1_000, instant("2026-10-05T00:00:00Z"))
    watched.spend(1_000, instant("2026-11-05T00:00:00Z"))
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-10", 100), (budget, "2026-11", 100)]
    assert [data["late"] for data in watched.data()] == [True, False]


def test_usage_counted_before_a_budget_was_created_raises_no_alert_for_past_periods(watched):
    watched.spend(1_000, instant("2026-10-05T00:00:00Z"))
    watched.evaluator.finish()
    budget = watched.budget(1, thresholds=(100,))
    watched.evaluator.evaluate_all()
    assert watched.raised() == []
    watched.spend(1, instant("2026-10-06T00:00:00Z"))
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-10", 100)]


def test_a_scope_counts_the_usage_that_matches_it(watched):
    watched.meter.configure(declared_tags=["team"])
    scopes = {
        "all": {},
        "project": {"project": ("a",)},
        "two projects": {"project": ("a", "b")},
        "both": {"provider": ("together",), "tag:team": ("core",)},
        "other account's": {"project": ("elsewhere",)},
        "no key": {"key": ("",)},
    }
    budgets = {name: watched.budget(1, scope=scope, thresholds=(1_000,)) for name, scope in scopes.items()}
    watched.meter.declare("globex")
    watched.spend(1, project="a", tags={"team": "core"})
    watched.spend(10, project="b", key="k")
    watched.spend(100, project="c", tags={"team": "core", "undeclared": "x"})
    watched.spend(1_000, project="elsewhere", account="globex")
    watched.evaluator.evaluate()
    spent = {name: watched.state(budget).spent_nano // 1_000_000 for name, budget in budgets.items()}
    assert spent == {
        "all": 111, "project": 1, "two projects": 11, "both": 101, "other account's": 0, "no key": 101,
    }  # fmt: skip


def test_only_the_budget_whose_scope_reaches_its_threshold_raises_an_alert(watched):
    budgets = [watched.budget(1, scope={"project": (f"p{number}",)}, thresholds=(100,)) for number in range(20)]
    wide = watched.budget(1, scope={"project": ("p3", "p7")}, thresholds=(100,))
    watched.spend(400, project="p3")
    watched.spend(1_000, project="p7")
    watched.evaluator.evaluate()
    assert watched.raised() == [(budgets[7], "2026-11", 100), (wide, "2026-11", 100)]


def test_a_change_keeps_fired_thresholds_and_evaluates_new_ones_at_once(watched):
    budget = watched.budget(1, thresholds=(50, 100))
    watched.spend(700)
    watched.evaluator.evaluate()
    watched.change(budget, 1, thresholds=(50, 60, 100))
    assert watched.raised() == [(budget, "2026-11", 50), (budget, "2026-11", 60)]
    state = watched.state(budget)
    assert (state.reached, state.fired) == ((50, 60), (50, 60))
    watched.spend(300)
    watched.evaluator.evaluate()
    assert watched.raised()[2:] == [(budget, "2026-11", 100)]


def test_a_threshold_that_a_change_adds_is_reached_later(watched):
    budget = watched.budget(1, thresholds=(50, 100))
    watched.spend(700)
    watched.evaluator.evaluate()
    watched.change(budget, 1, thresholds=(50, 80, 100))
    watched.spend(150)
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-11", 50), (budget, "2026-11", 80)]


def test_a_deleted_budget_raises_no_more_alerts(watched):
    budget = watched.budget(1)
    watched.evaluator.evaluate()
    delete_budget(watched.meter.engine, budget, watched.author)
    watched.spend(5_000)
    assert watched.evaluator.evaluate() == 0


def test_a_new_budget_raises_alerts_at_once_for_its_current_period_and_none_for_earlier_ones(watched):
    watched.spend(900, instant("2026-10-05T00:00:00Z"))
    watched.spend(900, instant("2026-11-05T00:00:00Z"))
    watched.evaluator.evaluate()
    budget = watched.budget(1)
    assert watched.raised() == [(budget, "2026-11", 50), (budget, "2026-11", 80)]


def test_falling_spend_withdraws_no_alert_and_raises_none_again(watched):
    budget = watched.budget(1, thresholds=(50,), action=Action.BLOCK, block_percent=100)
    watched.spend(1_000)
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-11", 50)]
    assert watched.raised("budget.blocked") == [(budget, "2026-11", 100)]
    assert blocked(watched) == [budget]
    watched.meter.record_prices(price_table(rate(100_000, 0), source="contract"))
    watched.meter.rerate()
    assert watched.evaluator.evaluate() == 0
    assert watched.state(budget).spent_nano == USD // 10
    assert blocked(watched) == []
    watched.spend(9_500)
    assert watched.evaluator.evaluate() == 0
    assert blocked(watched) == [budget]


def blocked(watched, *dimensions):
    rows = blocking_budgets(watched.meter.engine, acme(watched), dimensions, CATALOG, now=watched.meter.now)
    return [row.id for row in rows]


def acme(watched):
    return watched.meter.rows(select(alerts.c.account_id))[0].account_id


def test_a_block_applies_to_its_scope_and_its_period(watched):
    blocking = {"action": Action.BLOCK, "block_percent": 120, "thresholds": (50,)}
    budget = watched.budget(1, scope={"project": ("a",)}, **blocking)
    watched.spend(1_199, project="a")
    watched.evaluator.evaluate()
    assert blocked(watched, ("project", "a")) == []
    watched.spend(1, project="a")
    watched.evaluator.evaluate()
    assert watched.raised("budget.blocked") == [(budget, "2026-11", 120)]
    assert blocked(watched, ("project", "a"), ("model", "llama")) == [budget]
    assert blocked(watched, ("project", "b")) == blocked(watched) == []
    watched.meter.now = instant("2026-12-01T00:00:00Z")
    assert blocked(watched, ("project", "a")) == []


def test_a_fixed_window_blocks_from_its_first_instant_until_the_instant_before_its_end(watched):
    window = {"window": Window.FIXED, "first_day": day("2026-11-03"), "end_day": day("2026-11-20")}
    budget = watched.budget(1, action=Action.BLOCK, block_percent=100, **window)
    watched.spend(1_000, instant("2026-11-03T00:00:00Z"))
    watched.evaluator.evaluate()

    def at(time):
        watched.meter.now = time
        return blocked(watched), watched.state(budget).blocked

    start, end = instant("2026-11-03T00:00:00Z"), instant("2026-11-20T00:00:00Z")
    assert at(start - 1) == ([], False)
    assert at(start) == at(end - 1) == ([budget], True)
    assert at(end) == ([], False)


def test_usage_counts_when_it_gets_its_price(watched):
    budget = watched.budget(1, thresholds=(100,))
    watched.spend(1_000, model="late")
    assert watched.evaluator.evaluate() == 1  # the alert about usage without a price
    assert watched.raised() == []
    assert watched.state(budget).unpriced_events == 1
    watched.meter.record_prices(price_table(rate(model="late"), source="later"))
    watched.meter.rate_unpriced()
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-11", 100)]
    assert watched.state(budget).unpriced_events == 0


def test_unpriced_usage_raises_one_alert_per_model_and_month(watched):
    for time in ("2026-10-05T00:00:00Z", "2026-11-05T00:00:00Z", "2026-11-06T00:00:00Z"):
        watched.spend(1, instant(time), model="unknown")
        watched.spend(1, instant(time), model="unheard-of")
        watched.spend(1, instant(time))
        watched.evaluator.evaluate()
    unpriced = [(data["model"], data["month"], data["unpriced_events"]) for data in watched.data("usage.unpriced")]
    assert unpriced == [
        ("unheard-of", "2026-10", 1), ("unknown", "2026-10", 1), ("unheard-of", "2026-11", 1), ("unknown", "2026-11", 1),
    ]  # fmt: skip


def test_after_credits_only_charges_that_credits_do_not_cover_count(watched):
    # PRO includes $2.00 a month; provider_key usage is not billed by Hugging Face.
    watched.meter.set_plan("pro", "2026-11-01")
    budget = watched.budget(1, basis=BudgetBasis.AFTER_CREDITS, thresholds=(100,))
    watched.spend(2_999)
    watched.spend(5_000, route="provider_key")
    assert watched.evaluator.evaluate() == 0
    assert watched.state(budget).spent_nano == 999_000_000
    watched.spend(1)
    watched.evaluator.evaluate()
    assert watched.raised() == [(budget, "2026-11", 100)]


def test_a_forecast_raises_one_alert_per_period_even_if_its_threshold_changes(watched):
    # $5 of $10 on the 23rd of 30 days: about $6.70 in total.
    budget = watched.budget(10, thresholds=(100,), forecast_percent=60)
    watched.spend(5_000)
    watched.evaluator.evaluate()
    assert watched.raised("budget.forecast_exceeded") == []
    assert watched.evaluator.evaluate_all() == 1
    assert watched.evaluator.evaluate_all() == 0
    watched.change(budget, 10, thresholds=(100,), forecast_percent=65)
    assert watched.evaluator.evaluate_all() == 0
    assert watched.raised("budget.forecast_exceeded") == [(budget, "2026-11", 0)]
    (data,) = watched.data("budget.forecast_exceeded")
    assert (data["threshold_percent"], data["forecast_method"]) == (60, "period_rate")


def test_a_new_budget_raises_a_forecast_alert_at_once(watched):
    watched.spend(5_000)
    budget = watched.budget(10, thresholds=(100,), forecast_percent=60)
    assert watched.raised("budget.forecast_exceeded") == [(budget, "2026-11", 0)]
    assert watched.evaluator.evaluate_all() == 0


def test_a_new_period_starts_at_zero_and_fires_nothing(watched):
    budget = watched.budget(1)
    watched.spend(1_000)
    watched.evaluator.evaluate()
    watched.meter.now = instant("2026-12-01T00:00:00Z")
    assert watched.evaluator.evaluate_all() == 0
    state = watched.state(budget)
    assert (state.period.name, state.spent_nano, state.fired) == ("2026-12", 0, ())
    assert watched.state(budget, on="2026-11-30").fired == (50, 80, 100)


def test_usage_that_a_killed_ingest_left_is_evaluated_by_the_minute_job(watched):
    """Ingest committed but was killed before the evaluation: another process finds the touched days."""
    budget = watched.budget(1)
    watched.spend(1_000, instant("2026-11-05T00:00:00Z") + SECOND)
    minute = BudgetEvaluator(watched.meter.engine, CATALOG, lambda: watched.meter.now)
    assert minute.evaluate_all() == 3
    assert watched.raised() == [(budget, "2026-11", percent) for percent in (50, 80, 100)]


def test_an_alert_contains_the_documented_data(watched):
    watched.budget(1, name="search", scope={"project": ("a",)}, thresholds=(80,))
    watched.spend(900, project="a")
    watched.evaluator.evaluate()
    (data,) = watched.data()
    assert data == {
        "version": 1, "budget_id": 1, "name": "search", "account": "acme", "scope": {"project": ["a"]}, "window": "month",
        "period": "2026-11", "period_start": "2026-11-01T00:00:00.000000Z", "period_end": "2026-12-01T00:00:00.000000Z",
        "late": False, "basis": "gross", "action": "notify", "amount_nano_usd": USD, "amount_usd": "1.000000000",
        "spent_nano_usd": 900_000_000, "spent_usd": "0.900000000", "unpriced_events": 0, "threshold_percent": 80,
    }  # fmt: skip

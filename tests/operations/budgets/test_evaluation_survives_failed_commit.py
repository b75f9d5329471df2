"""A commit that fails once loses no alert: nothing is remembered as raised, fired or evaluated before its commit."""

import json

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from metering.domain.budgets.budgets import BudgetTerms
from metering.operations.budgets import evaluate_budgets as operation
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.evaluate_hours import evaluate_hours
from metering.operations.budgets.manage_budgets import Author, change_budget, create_budget, list_budgets
from metering.storage.tables import alerts, budget_revisions, hour_sums, summed_hours, touched_days, webhook_deliveries
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, instant, usage_event
from support.failing_commits import failing_commit
from support.webhook_builders import create_endpoint

CATALOG = bundled_plans()
USD = 1_000_000_000
MIDNIGHT = instant("2026-11-23T00:00:00Z")


def budget(meter, dollars=1, **terms):
    author = Author("test", meter.now)
    return create_budget(meter.engine, "acme", BudgetTerms(amount_nano=dollars * USD, **terms), author, CATALOG).budget.id


def spend(meter, millidollars, **fields):
    """Ingest one request of this cost: a thousand input tokens cost a millidollar."""
    meter.ingest(usage_event(quantities=Quantities(input_tokens=millidollars * 1_000), **fields))


def raised(meter, *types):
    """The (type, subject, threshold) of all alerts, in order."""
    rows = meter.rows(select(alerts).order_by(alerts.c.id))
    return [(row.type, row.subject, row.threshold) for row in rows if not types or row.type in types]


def fails(meter, table, call, **options):
    """Call while the next commit that writes to a table fails."""
    with failing_commit(meter.engine, table, **options) as failed:
        with pytest.raises(OperationalError, match="the commit failed"):
            call()
        assert failed == [table]


@pytest.fixture
def evaluator(meter):
    return BudgetEvaluator(meter.engine, CATALOG, lambda: meter.now)


THRESHOLDS = [("budget.threshold_reached", "budget:1", percent) for percent in (50, 80)]


@pytest.mark.parametrize("method", ["evaluate", "evaluate_if_due", "evaluate_all", "finish"])
def test_thresholds_are_raised_by_the_next_evaluation(meter, evaluator, method):
    create_endpoint(meter)
    budget(meter)
    spend(meter, 900)
    fails(meter, "alerts", getattr(evaluator, method))
    assert raised(meter) == []
    evaluator.pause_until = 0.0
    assert getattr(evaluator, method)() == 2
    assert raised(meter) == THRESHOLDS
    assert meter.count(webhook_deliveries) == 2
    spend(meter, 10)
    assert evaluator.evaluate_all() == 0


def test_unpriced_usage_is_raised_by_the_next_evaluation(meter, evaluator):
    spend(meter, 1, model="unknown")
    fails(meter, "alerts", evaluator.evaluate)
    assert evaluator.evaluate() == 1
    assert raised(meter) == [("usage.unpriced", "usage:2:together:unknown", 0)]


def test_a_forecast_is_raised_by_the_next_evaluation(meter, evaluator):
    # $5 of $10 on the 23rd of 30 days: about $6.70 in total.
    budget(meter, 10, thresholds=(100,), forecast_percent=60)
    spend(meter, 5_000)
    assert evaluator.evaluate() == 0
    fails(meter, "alerts", evaluator.evaluate_all)
    assert evaluator.evaluate_all() == 1
    assert raised(meter) == [("budget.forecast_exceeded", "budget:1", 0)]


def test_thresholds_of_the_current_period_are_raised_by_the_next_evaluation(meter, evaluator):
    """Without touched days, only the evaluation of current periods finds the spend."""
    budget(meter)
    spend(meter, 900)
    meter.execute("DELETE FROM touched_days")
    fails(meter, "alerts", evaluator.evaluate_all)
    assert evaluator.evaluate_all() == 2
    assert raised(meter) == THRESHOLDS


def test_of_several_transactions_only_the_failed_one_is_repeated(meter, evaluator, monkeypatch):
    monkeypatch.setattr(operation, "_ALERTS_PER_TRANSACTION", 1)
    budget(meter, thresholds=(50, 60, 70))
    spend(meter, 900)
    fails(meter, "alerts", evaluator.evaluate, skipped=1)
    assert [threshold for _, _, threshold in raised(meter)] == [50]
    assert evaluator.evaluate() == 2
    assert [threshold for _, _, threshold in raised(meter)] == [50, 60, 70]


def test_evaluated_rows_whose_deletion_fails_are_deleted_later(meter, evaluator):
    spend(meter, 5_000, time=MIDNIGHT - DAY)
    meter.now = MIDNIGHT + 7 * HOUR
    evaluate_hours(meter.engine, lambda: meter.now)
    budget(meter, 100)
    spend(meter, 60_000, time=MIDNIGHT - DAY)
    fails(meter, "touched_days", evaluator.finish)
    assert raised(meter, "budget.threshold_reached") == [("budget.threshold_reached", "budget:1", 50)]
    assert evaluator.finish() == 0
    assert meter.count(touched_days) == 0
    day = summed_hours.c.hour.between((MIDNIGHT - DAY) // HOUR, MIDNIGHT // HOUR - 1)
    assert meter.count(summed_hours, day) == 0  # its hours are summed again


def test_an_unusual_hour_is_raised_by_the_next_call(meter):
    for hour in range(72):
        spend(meter, 5_000, time=MIDNIGHT - 3 * DAY + hour * HOUR)
    spend(meter, 40_000, time=MIDNIGHT)
    meter.now = MIDNIGHT + 2 * HOUR
    for _ in range(14):
        evaluate_hours(meter.engine, lambda: MIDNIGHT)
    assert raised(meter) == []
    fails(meter, "alerts", lambda: evaluate_hours(meter.engine, lambda: meter.now))
    assert meter.count(hour_sums, hour_sums.c.hour == MIDNIGHT // HOUR) == 0
    assert [evaluate_hours(meter.engine, lambda: meter.now) for _ in range(3)] == [1, 0, 0]
    (data,) = [json.loads(row.data) for row in meter.rows(select(alerts.c.data))]
    assert (data["hour_start"], data["spent_usd"]) == ("2026-11-23T00:00:00.000000Z", "40.000000000")


def test_a_new_budget_is_created_with_its_alerts_or_not_at_all(meter):
    spend(meter, 900)
    fails(meter, "alerts", lambda: budget(meter))
    assert list_budgets(meter.engine, CATALOG, now=meter.now) == []
    budget(meter)
    assert [(type_, threshold) for type_, _, threshold in raised(meter)] == [
        ("budget.threshold_reached", 50),
        ("budget.threshold_reached", 80),
    ]


def test_a_change_is_recorded_with_its_alerts_or_not_at_all(meter):
    spend(meter, 900)
    budget_id = budget(meter, 100)
    change = {"amount_nano": USD, "thresholds": (70,)}
    author = Author("test", meter.now)
    fails(meter, "alerts", lambda: change_budget(meter.engine, budget_id, change, author, CATALOG))
    newest = select(func.max(budget_revisions.c.revision))
    assert meter.rows(newest) == [(1,)]
    change_budget(meter.engine, budget_id, change, author, CATALOG)
    assert meter.rows(newest) == [(2,)]
    assert raised(meter) == [("budget.threshold_reached", f"budget:{budget_id}", 70)]

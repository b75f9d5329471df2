"""The budget watcher evaluates usage in the background, retries after failures, and completes its work when it stops."""

import time
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from metering.domain.budgets.budgets import BudgetTerms
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.manage_budgets import Author, create_budget
from metering.runtime.budget_watcher import BudgetWatcher
from metering.storage.tables import alerts
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import usage_event
from support.failing_commits import failing_commit

NEVER = 600.0  # seconds: no test waits for a poll this long
ALL = [50, 80, 100]


@pytest.fixture
def evaluator(meter):
    terms = BudgetTerms(amount_nano=1_000_000_000)
    create_budget(meter.engine, "acme", terms, Author("test", meter.now), bundled_plans())
    return BudgetEvaluator(meter.engine, bundled_plans(), lambda: meter.now)


@contextmanager
def watching(evaluator, poll_seconds):
    watcher = BudgetWatcher(evaluator, poll_seconds=poll_seconds)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def spend_a_dollar(meter):
    meter.ingest(usage_event(quantities=Quantities(input_tokens=1_000_000)))


def raised(meter):
    return [row.threshold for row in meter.rows(select(alerts.c.threshold).order_by(alerts.c.id))]


def wait_for_alerts(meter):
    end = time.monotonic() + 20
    while raised(meter) != ALL:
        assert time.monotonic() < end, raised(meter)
        time.sleep(0.01)


def test_usage_is_evaluated_when_the_watcher_is_woken(meter, evaluator):
    with watching(evaluator, NEVER) as watcher:
        spend_a_dollar(meter)
        watcher.wake()
        wait_for_alerts(meter)


def test_usage_of_other_processes_is_found_by_polling(meter, evaluator):
    with watching(evaluator, 0.02):
        spend_a_dollar(meter)
        wait_for_alerts(meter)


def test_remaining_usage_is_evaluated_when_the_watcher_stops(meter, evaluator):
    with watching(evaluator, NEVER):
        spend_a_dollar(meter)
    assert raised(meter) == ALL


def test_a_failed_commit_is_logged_and_retried(meter, evaluator, caplog):
    with failing_commit(meter.engine, "alerts") as failed, watching(evaluator, 0.02):
        spend_a_dollar(meter)
        wait_for_alerts(meter)
    assert failed == ["alerts"]
    assert "evaluating budgets failed; will retry" in caplog.text


def test_a_watcher_that_was_not_started_can_be_stopped(meter, evaluator):
    BudgetWatcher(evaluator).stop()

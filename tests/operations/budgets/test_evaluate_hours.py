"""An hour far more expensive than recent ones raises one alert; each hour is summed from the log once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from metering.operations.budgets import evaluate_hours as operation
from metering.operations.budgets.evaluate_budgets import BudgetEvaluator
from metering.operations.budgets.evaluate_hours import evaluate_hours
from metering.storage.charges.hour_sums import delete_hours_of_days, mark_hours, store_hour
from metering.storage.engine.database import concurrent_write, exclusive_write
from metering.storage.tables import alerts, hour_sums, summed_hours
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities
from support.builders import DAY, HOUR, instant, usage_event
from support.row_locks import wait_until_blocked

MIDNIGHT = instant("2026-11-23T00:00:00Z")
TOKENS_A_DOLLAR = 1_000_000


def request(dollars, time, **fields):
    return usage_event(time=time, quantities=Quantities(input_tokens=dollars * TOKENS_A_DOLLAR), **fields)


def spend(meter, dollars, time, **fields):
    meter.ingest(request(dollars, time, **fields))


def evaluate(meter, now):
    """Evaluate hours until none is due."""
    meter.now = now
    BudgetEvaluator(meter.engine, bundled_plans(), lambda: now).finish()
    return sum(evaluate_hours(meter.engine, lambda: now) for _ in range(15))


def raised(meter):
    rows = meter.rows(select(alerts).where(alerts.c.type == "usage.anomaly").order_by(alerts.c.id))
    return [(row.period, json.loads(row.data)["spent_usd"], json.loads(row.data)["usual_most_usd"]) for row in rows]


@pytest.fixture
def used(meter):
    """Three days of five dollars an hour for acme; globex has no usage yet."""
    meter.declare("globex")
    meter.ingest(*(request(5, MIDNIGHT - 3 * DAY + hour * HOUR) for hour in range(72)))
    evaluate(meter, MIDNIGHT)
    return meter


def test_an_unusual_hour_raises_one_alert(used):
    spend(used, 40, MIDNIGHT + HOUR // 2)
    spend(used, 40, MIDNIGHT + HOUR // 2, account="globex")  # too few hours to compare with
    spend(used, 9, MIDNIGHT + HOUR)
    assert evaluate(used, MIDNIGHT + HOUR + 9 * HOUR // 60) == 0
    assert evaluate(used, MIDNIGHT + HOUR + HOUR // 6) == 1
    assert evaluate(used, MIDNIGHT + 3 * HOUR) == 0
    assert raised(used) == [("2026-11-23T00", "40.000000000", "10.000000000")]


def test_imported_history_is_used_for_comparison_and_raises_no_alert(used):
    spend(used, 500, MIDNIGHT - 2 * DAY + HOUR)
    assert evaluate(used, MIDNIGHT + HOUR) == 0
    (row,) = used.rows(select(hour_sums).where(hour_sums.c.hour == (MIDNIGHT - 2 * DAY) // HOUR + 1))
    assert row.amount_nano == 505_000_000_000


def test_late_usage_raises_an_alert_six_hours_after_its_day(used):
    assert evaluate(used, MIDNIGHT + 2 * HOUR) == 0
    spend(used, 40, MIDNIGHT)
    assert evaluate(used, MIDNIGHT + 3 * HOUR) == 0
    assert evaluate(used, MIDNIGHT + DAY + 6 * HOUR - 1) == 0
    assert evaluate(used, MIDNIGHT + DAY + 6 * HOUR) == 1
    assert raised(used) == [("2026-11-23T00", "40.000000000", "10.000000000")]


def test_one_call_reads_a_limited_number_of_hours_and_events(meter, monkeypatch):
    for hour in range(10):
        spend(meter, 1, MIDNIGHT - (hour + 1) * HOUR)
    meter.now = MIDNIGHT + HOUR // 2
    monkeypatch.setattr(operation, "MOST_EVENTS", 3)
    evaluate_hours(meter.engine, lambda: meter.now)
    assert meter.count(hour_sums) == 3
    monkeypatch.setattr(operation, "MOST_EVENTS", 10**6)
    evaluate_hours(meter.engine, lambda: meter.now)
    assert meter.count(hour_sums) == 10
    assert meter.count(summed_hours) == 3 + operation.MOST_HOURS


def test_usage_counted_while_its_hour_is_summed_is_in_the_final_sum(meter, monkeypatch):
    spend(meter, 5, MIDNIGHT - DAY)
    now = MIDNIGHT + 7 * HOUR
    sums = operation._sums

    def overtaken(connection, due):
        summed = sums(connection, due)
        spend(meter, 7, MIDNIGHT - DAY)
        BudgetEvaluator(meter.engine, bundled_plans(), lambda: now).finish()
        return summed

    with monkeypatch.context() as patched:
        patched.setattr(operation, "_sums", overtaken)
        evaluate_hours(meter.engine, lambda: now)
    assert meter.count(hour_sums) == 0
    evaluate_hours(meter.engine, lambda: now + HOUR // 60)
    (row,) = meter.rows(select(hour_sums))
    assert row.amount_nano == 12_000_000_000


def test_an_hour_that_a_crash_left_marked_is_summed(meter):
    spend(meter, 5, MIDNIGHT - HOUR)
    with exclusive_write(meter.engine) as connection:
        mark_hours(connection, [MIDNIGHT // HOUR - 1], now=MIDNIGHT + HOUR)
    evaluate_hours(meter.engine, lambda: MIDNIGHT + HOUR)
    assert meter.count(hour_sums) == 1


def test_an_hour_is_stored_only_by_the_process_that_marked_it_last(meter):
    hour = MIDNIGHT // HOUR
    with exclusive_write(meter.engine) as connection:
        mark_hours(connection, [hour], now=1)
        mark_hours(connection, [hour], now=2)
        assert not store_hour(connection, hour, {2: 5}, now=1)
        assert store_hour(connection, hour, {2: 6}, now=2)
        assert not store_hour(connection, hour, {2: 5}, now=1)
    (row,) = meter.rows(select(hour_sums))
    assert row.amount_nano == 6


@pytest.mark.only_on("postgresql")
def test_storing_and_deleting_hours_at_once_does_not_deadlock(meter, monkeypatch):
    for hour in range(24):
        spend(meter, 1, MIDNIGHT - DAY + hour * HOUR)
    now = MIDNIGHT + 7 * HOUR
    evaluate(meter, now)
    stored, started = [], threading.Event()

    def store(connection, hour, spent, *, now):
        stored.append(store_hour(connection, hour, spent, now=now))
        started.set()
        if len(stored) == 2:
            wait_until_blocked(meter.engine)
        return stored[-1]

    def delete():
        started.wait()
        with concurrent_write(meter.engine) as connection:
            delete_hours_of_days(connection, [MIDNIGHT // DAY - 1])

    with exclusive_write(meter.engine) as connection:
        delete_hours_of_days(connection, [MIDNIGHT // DAY - 1])
    monkeypatch.setattr(operation, "store_hour", store)
    with ThreadPoolExecutor() as pool:
        deleting = pool.submit(delete)
        evaluate_hours(meter.engine, lambda: now)
        deleting.result()
    assert stored == [True] * 24
    # The deletion waited until the hours were stored, and made them due again.
    assert meter.count(summed_hours, summed_hours.c.hour.between(MIDNIGHT // HOUR - 24, MIDNIGHT // HOUR - 1)) == 0

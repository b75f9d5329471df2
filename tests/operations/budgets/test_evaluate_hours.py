"""An hour far outside of an account's recent hours is told of once; hours are summed from the log once."""

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


def spend(meter, dollars, time, **fields):
    meter.ingest(usage_event(time=time, quantities=Quantities(input_tokens=dollars * TOKENS_A_DOLLAR), **fields))


def look(meter, now):
    """Look as often as there is something to sum."""
    meter.now = now
    BudgetEvaluator(meter.engine, bundled_plans(), lambda: now).finish()
    return sum(evaluate_hours(meter.engine, lambda: now) for _ in range(15))


def told(meter):
    rows = meter.rows(select(alerts).where(alerts.c.type == "usage.anomaly").order_by(alerts.c.id))
    return [(row.period, json.loads(row.data)["spent_usd"], json.loads(row.data)["usual_most_usd"]) for row in rows]


@pytest.fixture
def used(meter):
    """Three days of five dollars an hour; globex spends what acme does not."""
    meter.declare("globex")
    for hour in range(72):
        spend(meter, 5, MIDNIGHT - 3 * DAY + hour * HOUR)
    look(meter, MIDNIGHT)
    return meter


def test_an_hour_far_outside_of_the_recent_ones_is_told_of_once(used):
    spend(used, 40, MIDNIGHT + HOUR // 2)
    spend(used, 40, MIDNIGHT + HOUR // 2, account="globex")  # nobody knows what is usual there
    spend(used, 9, MIDNIGHT + HOUR)
    assert look(used, MIDNIGHT + HOUR + 9 * HOUR // 60) == 0
    assert look(used, MIDNIGHT + HOUR + HOUR // 6) == 1
    assert look(used, MIDNIGHT + 3 * HOUR) == 0
    assert told(used) == [("2026-11-23T00", "40.000000000", "10.000000000")]


def test_history_that_is_brought_in_is_compared_with_and_is_no_news(used):
    spend(used, 500, MIDNIGHT - 2 * DAY + HOUR)
    assert look(used, MIDNIGHT + HOUR) == 0
    (row,) = used.rows(select(hour_sums).where(hour_sums.c.hour == (MIDNIGHT - 2 * DAY) // HOUR + 1))
    assert row.amount_nano == 505_000_000_000


def test_what_arrives_late_in_a_day_is_told_when_the_day_has_settled(used):
    assert look(used, MIDNIGHT + 2 * HOUR) == 0
    spend(used, 40, MIDNIGHT)
    assert look(used, MIDNIGHT + 3 * HOUR) == 0
    assert look(used, MIDNIGHT + DAY + 6 * HOUR - 1) == 0
    assert look(used, MIDNIGHT + DAY + 6 * HOUR) == 1
    assert told(used) == [("2026-11-23T00", "40.000000000", "10.000000000")]


def test_a_look_reads_a_bounded_number_of_hours_and_of_events(meter, monkeypatch):
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


def test_usage_that_is_counted_while_its_hour_is_summed_is_in_the_sum_in_the_end(meter, monkeypatch):
    spend(meter, 5, MIDNIGHT - DAY)
    now = MIDNIGHT + 7 * HOUR
    sums = operation._sums

    def overtaken(connection, due):
        found = sums(connection, due)
        spend(meter, 7, MIDNIGHT - DAY)
        BudgetEvaluator(meter.engine, bundled_plans(), lambda: now).finish()
        return found

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


def test_an_hour_is_kept_by_whoever_marked_it_last(meter):
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
def test_hours_are_kept_and_forgotten_at_once_and_nobody_waits_in_a_circle(meter, monkeypatch):
    for hour in range(24):
        spend(meter, 1, MIDNIGHT - DAY + hour * HOUR)
    now = MIDNIGHT + 7 * HOUR
    look(meter, now)
    kept, begun = [], threading.Event()

    def keep(connection, hour, spent, *, now):
        kept.append(store_hour(connection, hour, spent, now=now))
        begun.set()
        if len(kept) == 2:
            wait_until_blocked(meter.engine)
        return kept[-1]

    def forget():
        begun.wait()
        with concurrent_write(meter.engine) as connection:
            delete_hours_of_days(connection, [MIDNIGHT // DAY - 1])

    with exclusive_write(meter.engine) as connection:
        delete_hours_of_days(connection, [MIDNIGHT // DAY - 1])
    monkeypatch.setattr(operation, "keep_hour", keep)
    with ThreadPoolExecutor() as pool:
        forgetting = pool.submit(forget)
        evaluate_hours(meter.engine, lambda: now)
        forgetting.result()
    assert kept == [True] * 24
    # Whoever forgot waited for the hours to be kept, and had them summed anew.
    assert meter.count(summed_hours, summed_hours.c.hour.between(MIDNIGHT // HOUR - 24, MIDNIGHT // HOUR - 1)) == 0

"""An hour far outside of an account's recent hours is told of once; hours are summed from the log once."""

import json

import pytest
from builders import DAY, HOUR, instant, usage_event
from sqlalchemy import select

from metering.operations import judge_hours as operation
from metering.operations.judge_budgets import BudgetJudge
from metering.operations.judge_hours import judge_hours
from metering.storage.tables import alerts, hour_sums, summed_hours
from pricing.bundled import bundled_plans
from pricing.quantities import Quantities

MIDNIGHT = instant("2026-11-23T00:00:00Z")
TOKENS_A_DOLLAR = 1_000_000


def spend(meter, dollars, time, **fields):
    meter.ingest(usage_event(time=time, quantities=Quantities(input_tokens=dollars * TOKENS_A_DOLLAR), **fields))


def look(meter, now):
    """Look as often as there is something to sum."""
    meter.now = now
    BudgetJudge(meter.engine, bundled_plans(), lambda: now).finish()
    return sum(judge_hours(meter.engine, lambda: now) for _ in range(15))


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
    judge_hours(meter.engine, lambda: meter.now)
    assert meter.count(hour_sums) == 3
    monkeypatch.setattr(operation, "MOST_EVENTS", 10**6)
    judge_hours(meter.engine, lambda: meter.now)
    assert meter.count(hour_sums) == 10
    assert meter.count(summed_hours) == 3 + operation.MOST_HOURS

"""Alerts for credits that run low or are used up: once a month each, again after credits came in, never withdrawn."""

import json

import pytest

from metering.operations.alerts.list_alerts import list_alerts
from metering.operations.credits import evaluate_credits as evaluation
from metering.operations.credits.evaluate_credits import CreditAlertPolicy, evaluate_credits
from metering.operations.steps.read_books import read_books
from metering.storage.tables import alerts
from pricing.quantities import Quantities
from support.builders import DAY, instant, usage_event
from support.meter import PLANS

USD = 1_000_000_000
POLICY = CreditAlertPolicy(PLANS)


def spend(meter, cents):
    meter.ingest(usage_event(time=meter.now, quantities=Quantities(input_tokens=cents * 10_000)))


def raised_alerts(meter):
    return [(row.type, row.period, row.threshold) for row in meter.rows(alerts.select().order_by(alerts.c.id))]


def occurrences(meter):
    listed = list_alerts(meter.engine, limit=100)
    return [(each.type, each.threshold, each.occurrence) for each in reversed(listed)]


@pytest.fixture
def pro(meter):
    """On PRO with $2.00 of credit a month, on 10 November."""
    meter.now = instant("2026-11-10T00:00:00Z")
    meter.set_plan("pro", "2026-11-01")
    return meter


def evaluate(meter):
    return evaluate_credits(meter.engine, POLICY, now=meter.now).raised


def test_low_is_raised_when_a_fifth_is_left_and_not_a_cent_before(pro):
    spend(pro, 159)
    assert evaluate(pro) == 0
    spend(pro, 1)
    assert (evaluate(pro), evaluate(pro)) == (1, 0)
    assert raised_alerts(pro) == [("credits.low", "2026-11", 20)]


def test_exhausted_is_raised_when_nothing_is_left_and_again_next_month(pro):
    spend(pro, 199)
    evaluate(pro)
    spend(pro, 1)
    assert (evaluate(pro), evaluate(pro)) == (1, 0)
    spend(pro, 500)
    assert evaluate(pro) == 0
    pro.now = instant("2026-12-10T00:00:00Z")
    spend(pro, 300)
    assert (evaluate(pro), evaluate(pro)) == (2, 0)
    assert raised_alerts(pro) == [
        ("credits.low", "2026-11", 20),
        ("credits.exhausted", "2026-11", 0),
        # $3.00 at once: past the low mark to nothing
        ("credits.low", "2026-12", 20),
        ("credits.exhausted", "2026-12", 0),
    ]


def test_purchased_credits_count_with_included_credits(pro):
    pro.grant(8 * USD, expires_at=instant("2026-11-20T00:00:00Z"))
    spend(pro, 799)  # of $10.00 in all
    assert evaluate(pro) == 0
    spend(pro, 1)
    assert evaluate(pro) == 1
    (alert,) = pro.rows(alerts.select())
    assert json.loads(alert.data) == {"month": "2026-11", "available_nano_usd": 10 * USD, "left_nano_usd": 2 * USD}


def test_accounts_without_credits_or_without_usage_get_no_alert(meter):
    meter.now = instant("2025-03-10T00:00:00Z")  # the free plan's included credits are unknown then
    spend(meter, 100)
    meter.declare("idle")
    assert evaluate(meter) == 0


def test_bought_credits_that_run_out_again_are_alerted_on_again(pro):
    spend(pro, 200)
    assert evaluate(pro) == 2
    pro.now += DAY
    pro.grant(10 * USD)
    assert evaluate(pro) == 0
    # of $12.00 in all, $2.40 is left at a fifth
    spend(pro, 759)
    assert evaluate(pro) == 0
    spend(pro, 1)
    assert (evaluate(pro), evaluate(pro)) == (1, 0)
    spend(pro, 240)
    assert (evaluate(pro), evaluate(pro)) == (1, 0)
    spend(pro, 500)
    assert evaluate(pro) == 0
    low, exhausted = ("credits.low", 20), ("credits.exhausted", 0)
    assert occurrences(pro) == [(*low, 0), (*exhausted, 0), (*low, 1), (*exhausted, 1)]


def test_credits_that_are_used_up_as_they_come_in_are_alerted_on_again(pro):
    spend(pro, 500)
    evaluate(pro)
    pro.now += DAY
    # $3.00 of November's usage are not covered yet
    pro.grant(1 * USD)
    assert (evaluate(pro), evaluate(pro)) == (2, 0)
    assert occurrences(pro)[2:] == [("credits.low", 20, 1), ("credits.exhausted", 0, 1)]


def test_a_grant_is_alerted_on_again_although_late_usage_took_more_than_it_gave(pro):
    pro.grant(10 * USD, granted_at=instant("2026-10-01T00:00:00Z"))
    spend(pro, 1_200)
    assert evaluate(pro) == 2
    # $4.00 of the grant pay for October instead; of November's $8.00 and the new $3.00 nothing is left
    pro.now += DAY
    pro.ingest(usage_event(time=instant("2026-10-05T00:00:00Z"), quantities=Quantities(input_tokens=4_100_000)))
    pro.grant(3 * USD, reference="more")
    assert (evaluate(pro), evaluate(pro)) == (2, 0)


def test_a_grant_counts_from_when_it_can_be_used(pro):
    spend(pro, 200)
    evaluate(pro)
    pro.now += DAY
    pro.grant(1 * USD, granted_at=pro.now + DAY)
    assert evaluate(pro) == 0
    pro.now += DAY
    spend(pro, 100)
    assert evaluate(pro) == 2


def test_a_larger_plan_that_is_used_up_is_alerted_on_again_and_a_smaller_one_is_not(pro):
    spend(pro, 200)
    evaluate(pro)
    pro.now += DAY
    pro.set_plan("team", "2026-11-11", seats=3)
    spend(pro, 400)
    assert evaluate(pro) == 2
    pro.now += DAY
    pro.set_plan("pro", "2026-11-12")
    spend(pro, 1)
    assert evaluate(pro) == 0


def test_used_up_credits_are_read_again_only_after_credits_came_in(pro, monkeypatch):
    read = []

    def noting(connection, account_id):
        read.append(account_id)
        return read_books(connection, account_id)

    monkeypatch.setattr(evaluation, "read_books", noting)
    spend(pro, 200)
    evaluate(pro)
    for _ in range(3):
        spend(pro, 100)
        evaluate(pro)
    assert len(read) == 1
    pro.now += DAY
    pro.grant(100 * USD)
    evaluate(pro)
    assert len(read) == 2


def test_a_low_mark_of_zero_alerts_on_exhaustion_only(pro):
    spend(pro, 300)
    assert evaluate_credits(pro.engine, CreditAlertPolicy(PLANS, low_percent=0), now=pro.now).raised == 1
    assert raised_alerts(pro) == [("credits.exhausted", "2026-11", 0)]

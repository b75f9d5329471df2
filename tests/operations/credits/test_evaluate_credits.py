"""Alerts for credits that run low or are used up: once a month each, never withdrawn."""

import json

import pytest

from metering.operations.credits.evaluate_credits import CreditAlertPolicy, evaluate_credits
from metering.storage.tables import alerts
from pricing.quantities import Quantities
from support.builders import instant, usage_event
from support.meter import PLANS

USD = 1_000_000_000
POLICY = CreditAlertPolicy(PLANS)


def spend(meter, cents):
    meter.ingest(usage_event(time=meter.now, quantities=Quantities(input_tokens=cents * 10_000)))


def raised_alerts(meter):
    return [(row.type, row.period, row.threshold) for row in meter.rows(alerts.select().order_by(alerts.c.id))]


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
    assert evaluate(pro) == 1
    assert raised_alerts(pro) == [
        ("credits.low", "2026-11", 20),
        ("credits.exhausted", "2026-11", 0),
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

"""The credits job reads an account again only when something its credits depend on has changed."""

import pytest

from metering.operations.credits import evaluate_credits as evaluation
from metering.operations.credits.evaluate_credits import CreditAlertPolicy
from metering.operations.credits.grant_credits import record_used_elsewhere
from metering.operations.credits.void_credits import void_credits
from metering.operations.steps.read_books import read_books
from metering.runtime.credits_job import CreditsJob
from metering.storage.tables import alerts
from pricing.quantities import Quantities
from support.builders import DAY, instant, price_table, rate, usage_event
from support.meter import PLANS

USD = 1_000_000_000
OCTOBER, NOVEMBER = 202610, 202611
TENTH = instant("2026-11-10T00:00:00Z")


def cents(amount, *, time=TENTH, **fields):
    """Return a request that costs ``amount`` cents: an input token of ``llama`` costs 1,000 nano-USD."""
    return usage_event(time=time, quantities=Quantities(input_tokens=amount * 10_000), **fields)


def job_of(meter):
    return CreditsJob(meter.engine, CreditAlertPolicy(PLANS), lambda: meter.now)


def raised_alerts(meter):
    return [(row.account_id, row.type) for row in meter.rows(alerts.select().order_by(alerts.c.id))]


@pytest.fixture
def read(monkeypatch):
    """The accounts that were read."""
    accounts = []

    def recorded(connection, account_id):
        accounts.append(account_id)
        return read_books(connection, account_id)

    monkeypatch.setattr(evaluation, "read_books", recorded)
    return accounts


@pytest.fixture
def two(meter):
    """``acme`` (2) and ``other`` (3) on PRO with $10.00 purchased, and usage in October and November; nothing is closed."""
    meter.now = TENTH
    meter.declare("other")
    for name in ("acme", "other"):
        meter.set_plan("pro", "2026-10-01", account=name)
        meter.grant(10 * USD, account=name, reference="inv-1", granted_at=instant("2026-10-01T00:00:00Z"))
        meter.grant(10 * USD, account=name, reference="inv-2", granted_at=TENTH + DAY)
        meter.ingest(cents(10, account=name), cents(10, time=TENTH - 30 * DAY, account=name))
    return meter


def test_unchanged_accounts_are_not_read(two, read):
    job = job_of(two)
    job()
    assert read == [2, 3]
    read.clear()
    job()
    two.now += 60_000_000
    job()
    assert read == []


def test_a_restarted_job_reads_every_account_once_and_repeats_no_alert(two, read):
    two.ingest(cents(1_200))
    job_of(two)()
    assert raised_alerts(two) == [(2, "credits.low"), (2, "credits.exhausted")]
    read.clear()
    job_of(two)()
    assert read == [3]  # acme's credits are exhausted: no further alert is possible
    assert raised_alerts(two) == [(2, "credits.low"), (2, "credits.exhausted")]


def a_cheaper_price(meter):
    meter.ingest(usage_event(id="x", time=TENTH, model="new"))
    meter.record_prices(price_table(rate(model="new"), source="late", effective_from=TENTH - 60 * DAY))
    meter.rate_unpriced()


CHANGES = {
    "usage": lambda meter: meter.ingest(cents(1)),
    "late usage of an open month": lambda meter: meter.ingest(cents(1, time=TENTH - 30 * DAY)),
    "usage that became priced": a_cheaper_price,
    "a plan": lambda meter: meter.set_plan("free", "2026-11-01"),
    "a second plan change on one day": lambda meter: meter.set_plan("pro", "2026-10-01", seats=1),
    "a grant": lambda meter: meter.grant(USD, reference="more"),
    "a voided grant": lambda meter: void_credits(meter.engine, "acme", "inv-1", None, PLANS, reason="refund", now=meter.now),
    "credits spent elsewhere": lambda meter: record_used_elsewhere(
        meter.engine, "acme", NOVEMBER, USD, reason="Spaces", now=meter.now
    ),
    "an adjustment": lambda meter: meter.adjust(NOVEMBER, USD),
    "an adjustment of an earlier month": lambda meter: meter.adjust(OCTOBER, USD),
    "a close": lambda meter: meter.close(OCTOBER),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_account_is_read_again_after(two, read, change):
    job = job_of(two)
    job()
    change(two)
    read.clear()
    job()
    assert read == [2]
    read.clear()
    job()
    assert read == []


def test_accounts_are_read_again_when_a_grant_or_a_month_begins(two, read):
    job = job_of(two)
    job()
    read.clear()
    two.now = TENTH + DAY - 1
    job()
    assert read == []
    two.now += 1
    job()
    assert read == [2, 3]
    read.clear()
    two.now = instant("2026-12-02T00:00:00Z")
    job()
    assert read == []  # without usage in December there is nothing to evaluate
    two.ingest(cents(1, time=two.now))
    job()
    assert read == [2]


def test_late_usage_of_october_uses_up_what_november_had_left(two):
    job = job_of(two)
    job()
    assert raised_alerts(two) == []
    two.ingest(cents(1_170, time=TENTH - 30 * DAY))  # $11.80 of October: $2.00 of its included credits, $9.80 purchased
    job()
    assert raised_alerts(two) == []  # November has $1.90 included and $0.20 purchased left, of $2.20
    two.ingest(cents(190))
    job()
    assert raised_alerts(two) == [(2, "credits.low")]
    two.ingest(cents(20, time=TENTH - 30 * DAY))
    job()
    assert raised_alerts(two) == [(2, "credits.low"), (2, "credits.exhausted")]


def test_a_failed_run_remembers_nothing(two, monkeypatch):
    job = job_of(two)
    two.ingest(cents(1_200))

    def failing(*_, **__):
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "raise_alert", failing)
        with pytest.raises(OSError):
            job()
    job()
    assert raised_alerts(two) == [(2, "credits.low"), (2, "credits.exhausted")]

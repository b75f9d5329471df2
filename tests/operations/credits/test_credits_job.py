"""The job that judges credits reads an account again when something changed that its credits are made of, and no other one."""

import pytest

from metering.operations.credits import evaluate_credits as judge_credits
from metering.operations.credits.evaluate_credits import CreditAlertPolicy
from metering.operations.credits.grant_credits import record_used_elsewhere
from metering.operations.credits.void_credits import void_credits
from metering.runtime.credits_job import CreditsJob
from metering.storage.tables import alerts
from pricing.quantities import Quantities
from support.builders import DAY, instant, price_table, rate, usage_event
from support.meter import PLANS

USD = 1_000_000_000
OCTOBER, NOVEMBER = 202610, 202611
TENTH = instant("2026-11-10T00:00:00Z")


def cents(amount, *, time=TENTH, **fields):
    """Return a request that costs so many cents: an input token of ``llama`` costs 1,000 nano-USD."""
    return usage_event(time=time, quantities=Quantities(input_tokens=amount * 10_000), **fields)


def job_of(meter):
    return CreditsJob(meter.engine, CreditAlertPolicy(PLANS), lambda: meter.now)


def told(meter):
    return [(row.account_id, row.type) for row in meter.rows(alerts.select().order_by(alerts.c.id))]


@pytest.fixture
def read(monkeypatch):
    """The accounts whose books were read."""
    asked = []
    read_books = judge_credits.read_books

    def noted(connection, account_id):
        asked.append(account_id)
        return read_books(connection, account_id)

    monkeypatch.setattr(judge_credits, "read_books", noted)
    return asked


@pytest.fixture
def two(meter):
    """``acme`` (2) and ``other`` (3) on PRO with $10.00 bought, and some usage in October and November; nothing is closed."""
    meter.now = TENTH
    meter.declare("other")
    for name in ("acme", "other"):
        meter.set_plan("pro", "2026-10-01", account=name)
        meter.grant(10 * USD, account=name, reference="inv-1", granted_at=instant("2026-10-01T00:00:00Z"))
        meter.grant(10 * USD, account=name, reference="inv-2", granted_at=TENTH + DAY)
        meter.ingest(cents(10, account=name), cents(10, time=TENTH - 30 * DAY, account=name))
    return meter


def test_nothing_changed_and_no_account_is_read(two, read):
    job = job_of(two)
    job()
    assert read == [2, 3]
    read.clear()
    job()
    two.now += 60_000_000
    job()
    assert read == []


def test_a_job_that_begins_anew_reads_every_account_once_and_repeats_no_alert(two, read):
    two.ingest(cents(1_200))
    job_of(two)()
    assert told(two) == [(2, "credits.exhausted")]
    read.clear()
    job_of(two)()
    assert read == [3]  # of what is used up there is nothing left to say
    assert told(two) == [(2, "credits.exhausted")]


def a_cheaper_price(meter):
    meter.ingest(usage_event(id="x", time=TENTH, model="new"))
    meter.record_prices(price_table(rate(model="new"), source="late", effective_from=TENTH - 60 * DAY))
    meter.rate_unpriced()


CHANGES = {
    "usage": lambda meter: meter.ingest(cents(1)),
    "late usage of an open month": lambda meter: meter.ingest(cents(1, time=TENTH - 30 * DAY)),
    "usage that has got its price": a_cheaper_price,
    "a plan": lambda meter: meter.set_plan("free", "2026-11-01"),
    "a plan of a day that had one": lambda meter: meter.set_plan("pro", "2026-10-01", seats=1),
    "a grant": lambda meter: meter.grant(USD, reference="more"),
    "a grant taken back": lambda meter: void_credits(
        meter.engine, "acme", "inv-1", None, PLANS, reason="refund", now=meter.now
    ),
    "credit spent elsewhere": lambda meter: record_used_elsewhere(
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


def test_accounts_are_read_again_when_a_grant_begins_and_when_a_month_does(two, read):
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
    assert read == []  # without usage in December there is nothing to judge yet
    two.ingest(cents(1, time=two.now))
    job()
    assert read == [2]


def test_october_usage_that_comes_late_uses_up_what_november_had_left(two):
    job = job_of(two)
    job()
    assert told(two) == []
    two.ingest(cents(1_170, time=TENTH - 30 * DAY))  # of October $11.80: $2.00 of its own credit, $9.80 of what was bought
    job()
    assert told(two) == []  # November has $1.90 of its own and $0.20 left of $2.20 in all
    two.ingest(cents(190))
    job()
    assert told(two) == [(2, "credits.low")]
    two.ingest(cents(20, time=TENTH - 30 * DAY))
    job()
    assert told(two) == [(2, "credits.low"), (2, "credits.exhausted")]


def test_a_call_that_fails_has_seen_nothing(two, monkeypatch):
    job = job_of(two)
    two.ingest(cents(1_200))

    def failing(*_, **__):
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(judge_credits, "raise_alert", failing)
        with pytest.raises(OSError):
            job()
    job()
    assert told(two) == [(2, "credits.exhausted")]

"""Two accounts with the same kinds of usage, credits and adjustments in one month: each has its own on its statement."""

import pytest

from metering.operations.credits.grant_credits import record_used_elsewhere
from pricing.quantities import Quantities
from support.builders import instant, price_table, rate, usage_event

OCTOBER, NOVEMBER = 202610, 202611
USD = 1_000_000_000
PICO = 1_000


def spend(meter, account, dollars):
    """Ingest a request that costs so many dollars: an input token of ``llama`` costs 1,000 nano-USD."""
    used = Quantities(input_tokens=dollars * 1_000_000)
    meter.ingest(usage_event(id=f"{account}-1", account=account, time=instant("2026-10-10T12:00:00Z"), quantities=used))


@pytest.fixture
def two_accounts(meter):
    """acme and globex on PRO since October; it is 4 November, and October is not closed yet."""
    meter.declare("globex")
    meter.now = instant("2026-11-04T00:00:00Z")
    for account, dollars, granted, adjusted, elsewhere in (("acme", 27, 3, 2, USD // 2), ("globex", 5, 1, -1, 3 * USD // 2)):
        meter.set_plan("pro", "2026-10-01", account=account)
        spend(meter, account, dollars)
        meter.grant(granted * USD, account=account, granted_at=instant("2026-10-02T00:00:00Z"), reference=f"{account}-paid")
        meter.adjust(OCTOBER, adjusted * USD, account=account, reference=f"{account}-adjusted")
        record_used_elsewhere(meter.engine, account, OCTOBER, elsewhere, reason="Spaces", now=meter.now)
    return meter


def shown(statement):
    """Return the kind and the amount in nano-USD of the lines that are not zero."""
    return [(line.kind.value, line.amount_pico // PICO) for line in statement.lines if line.amount_pico]


@pytest.mark.parametrize("closed", [False, True])
def test_each_statement_has_the_usage_credits_and_adjustments_of_its_account(two_accounts, closed):
    if closed:
        two_accounts.close(OCTOBER, account="globex")
        two_accounts.close(OCTOBER)
    # $2.00 are included, less what was spent elsewhere.
    assert shown(two_accounts.statement(OCTOBER)) == [
        ("usage", 27 * USD),
        ("subscription", 9 * USD),
        ("adjustment", 2 * USD),
        ("credit", -3 * USD // 2),
        ("credit", -3 * USD),
        ("total", 33_500_000_000),
    ]
    assert shown(two_accounts.statement(OCTOBER, account="globex")) == [
        ("usage", 5 * USD),
        ("subscription", 9 * USD),
        ("adjustment", -1 * USD),
        ("credit", -USD // 2),
        ("credit", -1 * USD),
        ("total", 11_500_000_000),
    ]
    assert two_accounts.violations() == []


def test_usage_that_both_had_unpriced_is_taken_back_once_on_each_statement(two_accounts):
    for account in ("acme", "globex"):
        event = usage_event(id=f"{account}-2", account=account, model="new", time=instant("2026-10-20T00:00:00Z"))
        two_accounts.ingest(event)
        two_accounts.close(OCTOBER, account=account, allow_unpriced=True)
    two_accounts.record_prices(price_table(rate(model="new")))
    assert two_accounts.rate_unpriced().rated == 2
    for account in ("acme", "globex"):
        assert two_accounts.statement(NOVEMBER, account=account).unpriced == ()

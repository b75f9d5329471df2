"""The credit ledger: when entries are written, and what was left at any instant, by when usage happened."""

import pytest

from metering.domain.errors import DomainError
from metering.operations.credits.show_credit_ledger import credits_at, show_ledger
from metering.operations.credits.void_credits import void_credits
from pricing.quantities import Quantities
from support.builders import instant, usage_event
from support.meter import PLANS

USD = 1_000_000_000
OCTOBER, NOVEMBER = 202610, 202611


def spend(meter, dollars, time):
    meter.ingest(usage_event(time=instant(time), quantities=Quantities(input_tokens=dollars * 1_000_000)))


def left_at(meter, time):
    return {
        each.grant.reference or each.grant.kind: each.left_nano
        for each in credits_at(meter.engine, "acme", instant(time), PLANS).grants
    }


@pytest.fixture
def pro(meter):
    """PRO since October, $10.00 purchased on 5 October; $5.00 used on 10 October, $3.00 on 2 November."""
    meter.now = instant("2026-11-04T00:00:00Z")
    meter.set_plan("pro", "2026-10-01")
    meter.grant(10 * USD, granted_at=instant("2026-10-05T00:00:00Z"), reference="inv-1")
    spend(meter, 5, "2026-10-10T12:00:00Z")
    spend(meter, 3, "2026-11-02T12:00:00Z")
    return meter


INSTANTS = {
    "2026-09-30T00:00:00Z": {"included": USD // 10},  # the free plan of September
    "2026-10-04T23:59:59Z": {"included": 2 * USD},
    "2026-10-05T00:00:00Z": {"included": 2 * USD, "inv-1": 10 * USD},
    "2026-10-10T12:00:00Z": {"included": 2 * USD, "inv-1": 10 * USD},
    "2026-10-10T12:00:00.000001Z": {"inv-1": 7 * USD},
    "2026-11-01T00:00:00Z": {"included": 2 * USD, "inv-1": 7 * USD},
    "2026-11-03T00:00:00Z": {"inv-1": 6 * USD},
}


@pytest.mark.parametrize("closed", [False, True])
def test_the_balance_at_an_instant_is_the_same_before_and_after_the_close(pro, closed):
    if closed:
        pro.close(OCTOBER)
    assert {time: left_at(pro, time) for time in INSTANTS} == INSTANTS


def test_an_upgrade_tops_up_included_credits_from_its_day_on(pro):
    pro.set_plan("team", "2026-11-20", seats=5)
    assert left_at(pro, "2026-11-19T23:59:59Z") == {"inv-1": 6 * USD}
    assert left_at(pro, "2026-11-20T00:00:00Z") == {"included": 7 * USD, "inv-1": 10 * USD - 3 * USD}


def test_grants_are_written_at_once_and_usage_when_its_month_closes(pro):
    assert [row.entry.kind.value for row in show_ledger(pro.engine, "acme")] == ["grant"]
    pro.close(OCTOBER)
    assert [(row.entry.kind.value, row.entry.amount_nano, row.left_nano) for row in show_ledger(pro.engine, "acme")] == [
        ("grant", 10 * USD, 10 * USD),
        ("grant", 2 * USD, 2 * USD),
        ("apply", -2 * USD, 0),
        ("apply", -3 * USD, 7 * USD),
    ]


def test_purchased_credits_expire_with_the_close_of_their_last_month(pro):
    pro.grant(
        4 * USD, granted_at=instant("2026-10-06T00:00:00Z"), expires_at=instant("2026-11-01T00:00:00Z"), reference="short"
    )
    pro.close(OCTOBER)
    rows = [(row.entry.grant.reference, row.entry.kind.value, row.entry.amount_nano) for row in show_ledger(pro.engine, "acme")]
    # Both end with October, and included credits pay first: $2.00; the purchased ones pay $3.00 of their $4.00.
    assert rows[-3:] == [("", "apply", -2 * USD), ("short", "apply", -3 * USD), ("short", "expire", -USD)]
    assert left_at(pro, "2026-10-31T23:59:59Z") == {"short": USD, "inv-1": 10 * USD}
    assert "short" not in left_at(pro, "2026-11-01T00:00:00Z")
    assert pro.violations() == []


def test_voided_credits_are_in_the_balance_before_and_not_after(pro):
    void_credits(pro.engine, "acme", "inv-1", USD, PLANS, reason="refunded", now=pro.now)
    assert left_at(pro, "2026-11-03T00:00:00Z") == {"inv-1": 6 * USD}
    assert left_at(pro, "2026-11-04T00:00:00Z") == {"inv-1": 5 * USD}
    with pytest.raises(DomainError, match="reason"):
        void_credits(pro.engine, "acme", "inv-1", USD, PLANS, reason=" ", now=pro.now)


def test_references_of_included_credits_are_reserved(pro):
    with pytest.raises(DomainError, match="reserved"):
        pro.grant(USD, reference="included:2026-11")


def test_credits_can_be_voided_until_the_instant_before_they_expire(pro):
    for reference in ("early", "late"):
        pro.grant(5 * USD, granted_at=instant("2026-11-01T00:00:00Z"), expires_at=pro.now + 1, reference=reference)
    void_credits(pro.engine, "acme", "early", USD, PLANS, reason="refunded", now=pro.now)
    with pytest.raises(DomainError, match="'late' expired"):
        void_credits(pro.engine, "acme", "late", USD, PLANS, reason="refunded", now=pro.now + 1)

"""The parts of a month's credits add up to what is left, which is never negative."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.credits.credit_summary import included_credits, purchased_credits
from metering.domain.credits.credits import ANY_COMPUTE, INFERENCE_ONLY, PURCHASED, CreditGrant, MonthUsage, burn_credits
from metering.domain.instants import parse_instant
from support.presence import present

USD = 1_000_000_000
MONTHS = (202609, 202610, 202611)
INSTANTS = [
    parse_instant(f"2026-{day}T00:00:00Z")
    for day in ("08-31", "09-01", "09-15", "10-01", "10-31", "11-01", "11-20", "12-01", "12-15")
]


@st.composite
def grants(draw):
    """Grants that start and may expire at the edges of months."""
    found = []
    for number in range(1, draw(st.integers(1, 5))):
        granted_at = draw(st.sampled_from(INSTANTS[:-2]))
        later = [each for each in INSTANTS if each > granted_at]
        found.append(
            CreditGrant(
                number,
                PURCHASED,
                draw(st.integers(1, 20)) * USD,
                granted_at,
                draw(st.sampled_from([None, *later])),
                scope=draw(st.sampled_from([INFERENCE_ONLY, ANY_COMPUTE])),
            )
        )
    return found


@given(grants(), st.lists(st.integers(-5, 12), min_size=3, max_size=3), st.integers(0, 5), st.data())
def test_the_parts_of_a_months_credits_add_up(granted, usage, elsewhere, data):
    usages = [MonthUsage(month, used * USD, 2 * USD, elsewhere * USD) for month, used in zip(MONTHS, usage, strict=True)]
    unused = {grant.id: grant.amount_nano for grant in granted}
    for month in burn_credits(usages, granted):
        for item in month.applied:
            if item.grant.id:
                unused[item.grant.id] -= item.amount_nano
    # Only unused credits can be voided, so what was paid does not change.
    voided = [grant.with_voided(data.draw(st.integers(0, unused[grant.id]))) for grant in granted]
    before = {grant.id: data.draw(st.integers(0, grant.voided_nano)) for grant in voided}
    burned = burn_credits(usages, voided)
    own = included_credits(burned[-1], 2 * USD, elsewhere * USD, scope=ANY_COMPUTE)
    assert own.left_nano >= 0
    assert present(own.included_nano) - own.elsewhere_nano - own.applied_nano == own.left_nano
    assert own.elsewhere_nano + own.beyond_nano == elsewhere * USD
    purchased = purchased_credits(burned, voided, before)
    parts = (
        purchased.carried_in_nano,
        purchased.granted_nano,
        purchased.voided_nano,
        purchased.applied_nano,
        purchased.expiring_nano,
    )
    assert min(*parts, purchased.left_nano) >= 0
    carried_in, granted_now, *reductions = parts
    assert carried_in + granted_now - sum(reductions) == purchased.left_nano


def test_no_more_than_the_included_credits_can_be_spent_elsewhere():
    (burned,) = burn_credits([MonthUsage(202611, 1 * USD, 2 * USD, 5 * USD)], [])
    credit = included_credits(burned, 2 * USD, 5 * USD, scope=INFERENCE_ONLY)
    assert (credit.elsewhere_nano, credit.beyond_nano, credit.applied_nano, credit.left_nano) == (2 * USD, 3 * USD, 0, 0)


def test_credits_voided_before_the_month_are_not_carried_into_it():
    grant = CreditGrant(1, PURCHASED, 10 * USD, INSTANTS[0], voided_nano=5 * USD)
    burned = burn_credits([MonthUsage(202610, USD, 0), MonthUsage(202611, USD, 0)], [grant])
    # $10 less $3 voided and $1 used before the month; then $2 voided and $1 used: $3 left.
    credit = purchased_credits(burned, [grant], {1: 3 * USD})
    assert (credit.carried_in_nano, credit.voided_nano, credit.left_nano) == (6 * USD, 2 * USD, 3 * USD)

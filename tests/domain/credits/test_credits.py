"""Credits burn in the documented order, never below zero, and included credits only in their month."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.credits.credits import INCLUDED, PURCHASED, CreditGrant, MonthUsage, burn_credits
from metering.domain.instants import parse_instant

USD = 1_000_000_000
OCTOBER, NOVEMBER = 202610, 202611


def grant(number, dollars, *, granted="2026-01-01T00:00:00Z", expires=None, kind=PURCHASED):
    return CreditGrant(number, kind, dollars * USD, parse_instant(granted), None if expires is None else parse_instant(expires))


def applied(month):
    return [(item.grant.id, item.amount_nano) for item in month.applied]


def test_included_credits_pay_before_purchased_credits_and_end_with_the_month():
    october, november = burn_credits(
        [MonthUsage(OCTOBER, 1 * USD, 2 * USD), MonthUsage(NOVEMBER, 5 * USD, 2 * USD)], [grant(7, 10)]
    )
    assert applied(october) == [(0, 1 * USD)]
    assert october.included_left_nano == 1 * USD
    assert applied(november) == [(0, 2 * USD), (7, 3 * USD)]
    assert november.purchased_left_nano == 7 * USD


def test_purchased_credits_that_expire_within_the_month_pay_before_included_credits():
    (month,) = burn_credits([MonthUsage(NOVEMBER, 3 * USD, 2 * USD)], [grant(1, 2, expires="2026-11-20T00:00:00Z")])
    assert applied(month) == [(1, 2 * USD), (0, 1 * USD)]


def test_at_the_same_expiry_included_credits_pay_before_purchased_credits():
    (month,) = burn_credits([MonthUsage(NOVEMBER, 3 * USD, 2 * USD)], [grant(1, 2, expires="2026-12-01T00:00:00Z")])
    assert applied(month) == [(0, 2 * USD), (1, 1 * USD)]


def test_purchased_grants_pay_by_soonest_expiry_then_age_then_id():
    grants = [
        grant(1, 1, granted="2026-02-01T00:00:00Z"),
        grant(2, 1, granted="2026-01-01T00:00:00Z"),
        grant(3, 1, granted="2026-01-01T00:00:00Z"),
        grant(4, 1, granted="2026-03-01T00:00:00Z", expires="2027-01-01T00:00:00Z"),
    ]
    (month,) = burn_credits([MonthUsage(NOVEMBER, 4 * USD, 0)], grants)
    assert [item.grant.id for item in month.applied] == [4, 2, 3, 1]


def test_a_grant_pays_for_no_month_before_it_was_granted_or_after_it_expired():
    grants = [grant(1, 5, granted="2026-11-15T00:00:00Z"), grant(2, 5, expires="2026-10-01T00:00:00Z")]
    october, november = burn_credits([MonthUsage(OCTOBER, 1 * USD, 0), MonthUsage(NOVEMBER, 1 * USD, 0)], grants)
    assert applied(october) == []
    assert applied(november) == [(1, 1 * USD)]


def test_the_first_instant_of_the_next_month_is_not_in_the_month():
    grants = [grant(1, 5, granted="2026-12-01T00:00:00Z"), grant(2, 5, granted="2026-11-30T23:59:59.999999Z")]
    (month,) = burn_credits([MonthUsage(NOVEMBER, 6 * USD, 0)], grants)
    assert (applied(month), month.uncovered_nano, month.purchased_left_nano) == ([(2, 5 * USD)], 1 * USD, 0)


def test_purchased_credits_that_expire_with_the_month_do_not_carry_over():
    grants = [
        grant(1, 5, expires="2026-12-01T00:00:00Z"),
        grant(2, 7, expires="2026-12-01T00:00:00.000001Z"),
        grant(3, 11),
    ]
    (month,) = burn_credits([MonthUsage(NOVEMBER, 1 * USD, 0)], grants)
    assert applied(month) == [(1, 1 * USD)]
    assert month.purchased_left_nano == 18 * USD  # 7 + 11


def test_usage_beyond_all_credits_is_uncovered():
    (month,) = burn_credits([MonthUsage(NOVEMBER, 27 * USD, 2 * USD)], [])
    assert (month.applied_nano, month.uncovered_nano) == (2 * USD, 25 * USD)


def test_included_credits_spent_elsewhere_cannot_pay():
    (month,) = burn_credits([MonthUsage(NOVEMBER, 5 * USD, 2 * USD, used_elsewhere_nano=1_500_000_000)], [])
    assert month.applied_nano == 500_000_000
    (more,) = burn_credits([MonthUsage(NOVEMBER, 5 * USD, 2 * USD, used_elsewhere_nano=3 * USD)], [])
    assert more.applied_nano == 0


def test_negative_usage_burns_nothing():
    (month,) = burn_credits([MonthUsage(NOVEMBER, -5 * USD, 2 * USD)], [grant(1, 5)])
    assert (month.applied, month.included_left_nano, month.purchased_left_nano) == ((), 2 * USD, 5 * USD)


@given(
    st.lists(st.tuples(st.integers(-10, 50), st.integers(0, 5)), min_size=1, max_size=6),
    st.lists(st.integers(1, 40), max_size=4),
)
def test_no_grant_goes_below_zero_and_every_dollar_is_paid_once(months, grants):
    usage = [MonthUsage(202601 + number, used * USD, given * USD) for number, (used, given) in enumerate(months)]
    burned = burn_credits(usage, [grant(number, dollars) for number, dollars in enumerate(grants, 1)])
    for month, result in zip(usage, burned, strict=True):
        assert result.applied_nano + result.uncovered_nano == max(0, month.usage_nano)
        assert all(item.amount_nano > 0 and item.left_nano >= 0 for item in result.applied)
        assert sum(item.amount_nano for item in result.applied if item.grant.kind == INCLUDED) <= month.included_nano
    purchased = sum(item.amount_nano for result in burned for item in result.applied if item.grant.kind == PURCHASED)
    assert burned[-1].purchased_left_nano == sum(grants) * USD - purchased

"""A daily credit pays for its own UTC day only, in the same order as all other credits, and expires when the day ends."""

from hypothesis import given
from hypothesis import strategies as st

from metering.domain.credits.credits import PURCHASED, CreditGrant, DayUsage, MonthUsage, burn_credits
from metering.domain.instants import first_day, parse_instant

USD = 1_000_000_000
DIME = USD // 10
NOVEMBER = 202611
FIRST = first_day(NOVEMBER)


def days(*usage, credit=DIME):
    """The first days of November with their usage."""
    return tuple(DayUsage(FIRST + offset, credit, used) for offset, used in enumerate(usage))


def burn(usage, *by_day, included=0, elsewhere=0, grants=(), credit=DIME):
    (month,) = burn_credits([MonthUsage(NOVEMBER, usage, included, elsewhere, days(*by_day, credit=credit))], grants)
    return month


def test_a_day_pays_for_its_own_usage_and_leaves_nothing_to_the_next():
    # $0.05, $0.30 and nothing: the days pay $0.05 and $0.10; the $0.05 that the first day left is gone.
    month = burn(35 * DIME // 10, DIME // 2, 3 * DIME, 0)
    assert [(item.amount_nano, item.left_nano) for item in month.applied] == [(DIME // 2, DIME // 2), (DIME, 0)]
    assert (month.uncovered_nano, month.included_left_nano) == (2 * DIME, 0)


def test_a_day_pays_before_purchased_credits_that_expire_later_and_after_those_that_expire_sooner():
    early = CreditGrant(1, PURCHASED, USD, parse_instant("2026-10-01T00:00:00Z"), parse_instant("2026-11-02T12:00:00Z"))
    late = CreditGrant(2, PURCHASED, USD, parse_instant("2026-10-01T00:00:00Z"))
    # Day 1 ends before the first grant expires, day 2 after it: $0.10 + $1.00 + $0.10 + $1.00 of $2.50.
    month = burn(25 * DIME, 10 * DIME, 15 * DIME, grants=[late, early])
    assert [(item.grant.id, item.amount_nano) for item in month.applied] == [(0, DIME), (1, USD), (0, DIME), (2, USD)]
    assert month.uncovered_nano == 3 * DIME


def test_the_credits_of_a_month_top_up_what_days_paid_and_never_add_to_it():
    # An upgrade to a plan with $2.00 a month: two days paid $0.20 before, so $1.80 is left for the rest of $5.00.
    month = burn(5 * USD, 2 * USD, 3 * USD, included=2 * USD)
    assert [item.amount_nano for item in month.applied] == [DIME, DIME, 18 * DIME]
    assert (month.applied_nano, month.included_left_nano) == (2 * USD, 0)


def test_the_last_day_of_a_month_pays_before_the_credits_of_the_month():
    last = DayUsage(FIRST + 29, DIME, USD)
    (month,) = burn_credits([MonthUsage(NOVEMBER, USD, 2 * USD, 0, (last,))], [])
    assert [item.amount_nano for item in month.applied] == [DIME, 9 * DIME]
    assert month.included_left_nano == 2 * USD - DIME - 9 * DIME


def test_a_day_with_negative_usage_pays_nothing_and_the_month_never_pays_more_than_it_owes():
    # $1.00 on day 1, corrected by -$0.95 on day 2: $0.05 is owed in all.
    month = burn(DIME // 2, USD, -USD + DIME // 2)
    assert [item.amount_nano for item in month.applied] == [DIME // 2]


amounts = st.integers(-300_000_000, 300_000_000)


@given(st.lists(amounts, min_size=1, max_size=30), st.integers(0, 200_000_000), st.integers(0, 500_000_000), st.booleans())
def test_daily_credits_pay_what_a_walk_through_the_days_says(usage, credit, purchased, with_purchased):
    grants = [CreditGrant(1, PURCHASED, purchased, parse_instant("2026-10-01T00:00:00Z"))] if with_purchased else []
    month = burn(sum(usage), *usage, credit=credit, grants=grants)
    owed, paid_by_days = max(0, sum(usage)), 0
    for used in usage:
        paid_by_days += min(max(0, used), credit, owed - paid_by_days)
    paid = {item.grant.granted_at // 86_400_000_000: item.amount_nano for item in month.applied if item.grant.is_daily}
    assert sum(paid.values()) == paid_by_days
    assert all(0 < amount <= min(credit, usage[day - FIRST]) for day, amount in paid.items())
    bought = min(purchased, owed - paid_by_days) if with_purchased else 0
    assert (month.applied_nano, month.uncovered_nano) == (paid_by_days + bought, owed - paid_by_days - bought)

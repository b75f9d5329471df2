"""Plans through time: fees by whole days, credits topped up and never added, downgrades from the next month."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.domain.accounts.plan_history import PlanChange, effective_changes, plan_month
from pricing.bundled import bundled_plans
from pricing.errors import InvalidPlanError
from pricing.plans import PlanCatalog, PlanTerms

NOVEMBER = 202611
TWO_DOLLARS = 2_000_000_000


def terms(plan, rank, fee_cents, credit_nano, *, effective=date(2026, 1, 1), pay_as_you_go=True):
    return PlanTerms(
        plan=plan,
        effective_from=effective,
        rank=rank,
        per_seat=rank > 1,
        fee_cents=fee_cents,
        included_credit_nano=credit_nano,
        pay_as_you_go=pay_as_you_go,
        credits_pay_elsewhere=False,
        source="a test",
    )


CATALOG = PlanCatalog(
    [
        terms("free", 0, 0, 100_000_000, pay_as_you_go=False),
        terms("pro", 1, 900, TWO_DOLLARS),
        terms("team", 2, 2_000, TWO_DOLLARS),
        terms("enterprise", 3, None, TWO_DOLLARS),
    ]
)


def month(*changes, of=NOVEMBER, catalog=CATALOG):
    return plan_month(changes, of, catalog)


def test_an_account_without_plan_changes_is_on_the_free_plan():
    november = month()
    assert (november.plan, november.fees, november.included_credit_nano, november.invoiced) == ("free", (), 100_000_000, False)


def test_a_whole_month_costs_the_whole_fee():
    (fee,) = month(PlanChange(date(2026, 3, 1), "pro")).fees
    assert (fee.days, fee.days_in_month, fee.amount_cents) == (30, 30, 900)


def test_a_subscription_from_the_16th_costs_15_of_30_days_and_its_credit_is_not_prorated():
    november = month(PlanChange(date(2026, 11, 16), "pro"))
    (fee,) = november.fees
    assert (fee.days, fee.amount_cents) == (15, 450)
    assert november.included_credit_nano == TWO_DOLLARS


def test_part_of_a_fee_is_rounded_half_away_from_zero_to_cents():
    # $9.00 x 7 of 31 days is $2.0322...; x 1 of 31 is $0.2903...; of 16 seats at $20.00 x 1 of 31 it is $10.3225...
    assert month(PlanChange(date(2026, 10, 25), "pro"), of=202610).fees[0].amount_cents == 203
    assert month(PlanChange(date(2026, 10, 31), "pro"), of=202610).fees[0].amount_cents == 29
    assert month(PlanChange(date(2026, 10, 31), "team", 16), of=202610).fees[0].amount_cents == 1032


def test_an_upgrade_in_mid_month_tops_the_credit_up_to_the_larger_grant_never_both():
    november = month(PlanChange(date(2026, 6, 1), "pro"), PlanChange(date(2026, 11, 11), "team", 5))
    assert november.included_credit_nano == 5 * TWO_DOLLARS
    # pro for 10 of 30 days: $3.00; five seats at $20.00 for 20 of 30 days: $66.67
    assert [(fee.plan, fee.days, fee.amount_cents) for fee in november.fees] == [("pro", 10, 300), ("team", 20, 6_667)]


def test_a_downgrade_takes_effect_in_the_next_month():
    changes = PlanChange(date(2026, 6, 1), "pro"), PlanChange(date(2026, 11, 5), "free")
    assert [fee.amount_cents for fee in month(*changes).fees] == [900]
    assert month(*changes).included_credit_nano == TWO_DOLLARS
    assert month(*changes, of=202612).plan == "free"
    assert month(*changes, of=202612).fees == ()


def test_a_downgrade_that_is_reverted_before_it_takes_effect_changes_nothing():
    changes = (
        PlanChange(date(2026, 6, 1), "pro"),
        PlanChange(date(2026, 11, 5), "free"),
        PlanChange(date(2026, 11, 20), "pro"),
    )
    assert month(*changes, of=202612).fees[0].amount_cents == 900


def test_seats_count_on_the_1st():
    changes = PlanChange(date(2026, 6, 1), "team", 5), PlanChange(date(2026, 11, 10), "team", 9)
    assert month(*changes).included_credit_nano == 5 * TWO_DOLLARS
    assert month(*changes).fees[0].amount_cents == 10_000
    assert month(*changes, of=202612).included_credit_nano == 9 * TWO_DOLLARS


def test_five_seats_pool_ten_dollars():
    team = plan_month([PlanChange(date(2026, 11, 1), "team", 5)], NOVEMBER, bundled_plans())
    assert team.included_credit_nano == 10_000_000_000


def test_a_fee_that_the_catalog_does_not_know_is_unknown_not_zero():
    (fee,) = month(PlanChange(date(2026, 11, 1), "enterprise", 3)).fees
    assert fee.amount_cents is None


def test_a_credit_of_less_than_ten_cents_is_unknown_not_zero():
    assert plan_month([], 202504, bundled_plans()).included_credit_nano is None


def test_a_catalog_entry_in_mid_month_does_not_split_a_fee_that_stays_the_same():
    (fee,) = plan_month([PlanChange(date(2026, 8, 1), "pro")], 202608, bundled_plans()).fees
    assert (fee.days, fee.amount_cents) == (31, 900)


def test_of_two_changes_on_one_day_the_last_applies():
    assert month(PlanChange(date(2026, 11, 1), "team", 2), PlanChange(date(2026, 11, 1), "pro")).plan == "pro"


def test_a_plan_that_does_not_exist_is_refused_by_name():
    with pytest.raises(InvalidPlanError, match="'gold' is not a plan; the plans are free, pro, team, enterprise"):
        month(PlanChange(date(2026, 11, 1), "gold"))


changes = st.lists(
    st.builds(
        PlanChange,
        st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        st.sampled_from(["free", "pro", "team"]),
        st.integers(1, 9),
    ),
    max_size=6,
)


@given(changes, st.integers(1, 12))
def test_the_days_of_a_months_fees_never_exceed_the_month(changes, number):
    result = month(*changes, of=202600 + number)
    assert sum(fee.days for fee in result.fees) <= (result.fees[0].days_in_month if result.fees else 0)


@given(changes)
def test_downgrades_take_effect_on_a_1st_only(changes):
    effective = effective_changes(changes, CATALOG)
    for before, after in pairwise(effective):
        if CATALOG.rank(after.plan) < CATALOG.rank(before.plan):
            assert after.effective.day == 1

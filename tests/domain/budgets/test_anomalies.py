"""Unusual hours, computed by hand; amounts in dollars."""

import pytest

from metering.domain.budgets.anomalies import UsualSpend, is_hour_due, usual_spend
from metering.domain.instants import MICROS_PER_DAY, MICROS_PER_HOUR
from support.presence import present

USD = 1_000_000_000
MINUTE = MICROS_PER_HOUR // 60


def dollars(*amounts):
    return [int(amount * USD) for amount in amounts]


def test_fewer_than_48_hours_of_spending_are_too_few():
    assert usual_spend(dollars(*[5] * 47)) is None
    assert usual_spend(dollars(*[5] * 47, *[0] * 500)) is None
    assert usual_spend(dollars(*[5] * 48)) == UsualSpend(5 * USD, 10 * USD, 48)


def test_an_hour_below_ten_dollars_is_never_unusual():
    assert present(usual_spend(dollars(*[0.01] * 100))).most_nano == 10 * USD


def test_the_limit_is_six_robust_deviations_above_the_median_if_hours_vary():
    # The median is 30, half of the hours are 10 away from it: 30 + 6 x 10 x 1.4826 = 118.956.
    usual = usual_spend(dollars(*[20] * 40, *[30] * 41, *[40] * 40))
    assert usual == UsualSpend(30 * USD, 118_956_000_000, 121)


def test_a_job_that_runs_once_a_day_is_usual():
    # 28 of 672 hours cost $100, the others $5: 1 in 24 is more than 1 in 100.
    assert usual_spend(dollars(*[5] * 644, *[100] * 28)) == UsualSpend(5 * USD, 200 * USD, 672)


def test_one_outlier_does_not_hide_the_next():
    assert present(usual_spend(dollars(*[5] * 671, 1_000))).most_nano == 10 * USD


def test_the_99th_percentile_is_an_amount_that_99_of_100_hours_do_not_exceed():
    # Of 150 hours 99 % are 148.5: the 149th amount is the lowest that at least so many do not exceed.
    assert usual_spend(dollars(*[5] * 148, 100, 200)) == UsualSpend(5 * USD, 200 * USD, 150)


@pytest.mark.parametrize(
    ("summed_at", "now", "due"),
    [
        (None, (11, 9), False),  # late usage may still arrive
        (None, (11, 10), True),
        ((11, 10), (11, 11), False),
        ((11, 10), (29, 59), False),
        ((11, 10), (30, 0), True),  # six hours after the day ends
        ((30, 0), (40, 0), False),
        (None, (500, 0), True),
    ],
)
def test_an_hour_is_summed_after_it_ends_and_again_after_its_day_ends(summed_at, now, due):
    day = 20_000

    def at(moment):
        return day * MICROS_PER_DAY + moment[0] * MICROS_PER_HOUR + moment[1] * MINUTE

    assert is_hour_due(24 * day + 10, None if summed_at is None else at(summed_at), at(now)) is due

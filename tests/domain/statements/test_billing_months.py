"""A charge is billed in its event's month, or in the first open one if that is closed."""

import pytest

from metering.domain.errors import InvalidTimeError
from metering.domain.statements.billing_months import billing_month_of, check_month_in_range
from support.builders import NOW


def test_without_a_closed_month_a_charge_is_billed_in_its_events_month():
    assert billing_month_of(202610, None) == 202610


def test_an_event_after_the_last_closed_month_is_billed_in_its_own_month():
    assert billing_month_of(202611, 202610) == 202611
    assert billing_month_of(202701, 202610) == 202701


def test_an_event_in_a_closed_month_is_billed_in_the_first_open_month():
    assert billing_month_of(202610, 202610) == 202611
    assert billing_month_of(202601, 202610) == 202611
    assert billing_month_of(202612, 202612) == 202701


@pytest.mark.parametrize("month", [202001, 202611, 202711])
def test_a_month_from_2020_to_a_year_ahead_is_in_range(month):
    check_month_in_range(month, NOW)  # November 2026


@pytest.mark.parametrize("month", [201912, 202712, 999912])
def test_a_month_before_2020_or_more_than_a_year_ahead_is_out_of_range(month):
    with pytest.raises(InvalidTimeError, match="from 2020-01 to 2027-11"):
        check_month_in_range(month, NOW)

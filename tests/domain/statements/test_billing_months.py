"""A charge is billed in its event's month, or, when that is closed, in the first open one."""

from metering.domain.statements.billing_months import billing_month_of


def test_while_no_month_is_closed_a_charge_is_billed_in_its_events_month():
    assert billing_month_of(202610, None) == 202610


def test_what_happened_after_the_last_closed_month_is_billed_in_its_own():
    assert billing_month_of(202611, 202610) == 202611
    assert billing_month_of(202701, 202610) == 202701


def test_what_happened_in_a_closed_month_is_billed_in_the_first_open_one():
    assert billing_month_of(202610, 202610) == 202611
    assert billing_month_of(202601, 202610) == 202611
    assert billing_month_of(202612, 202612) == 202701

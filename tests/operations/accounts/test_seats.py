"""Only plans sold per seat have several seats; older plan changes with seats are kept as they were recorded."""

from datetime import date

import pytest

from metering.domain.accounts.plan_history import PlanChange
from metering.operations.steps.find_account import find_account
from metering.storage.accounts.plans import insert_plan_change
from metering.storage.engine.database import exclusive_write
from pricing.errors import InvalidPlanError
from support.builders import instant

OCTOBER, NOVEMBER, DECEMBER = 202610, 202611, 202612


@pytest.fixture
def november(meter):
    """An account, on 4 November."""
    meter.now = instant("2026-11-04T00:00:00Z")
    return meter


def fees(meter, month):
    """Return the fees on a month's statement, in cents."""
    return [fee.amount_cents for fee in meter.statement(month).plan.fees]


def test_a_team_of_five_becomes_one_pro_and_never_five(november):
    november.set_plan("team", "2026-11-01", seats=5)
    with pytest.raises(InvalidPlanError, match="pro is not sold by the seat, got 5 seats"):
        november.set_plan("pro", "2026-12-01", seats=5)
    november.set_plan("pro", "2026-12-01")
    plan = november.statement(DECEMBER).plan
    assert (plan.plan, plan.seats, [fee.amount_cents for fee in plan.fees]) == ("pro", 1, [900])
    assert november.statement(NOVEMBER).plan.seats == 5


def test_seats_of_pro_in_an_older_database_stay_until_they_are_changed(november):
    with exclusive_write(november.engine) as connection:
        change = PlanChange(date(2026, 10, 1), "pro", 5)
        insert_plan_change(connection, find_account(connection, "acme").id, change, now=november.now)
    november.close(OCTOBER)
    assert fees(november, NOVEMBER) == [4500]
    november.set_plan("pro", "2026-11-01")
    assert (fees(november, OCTOBER), fees(november, NOVEMBER)) == ([4500], [900])
    assert november.violations() == []

"""The first month with usage, an adjustment or a paid plan, for many accounts at once."""

from collections.abc import Sequence

from sqlalchemy import Connection

from metering.domain.instants import month_of_day
from metering.storage.accounts.plans import first_plan_days, last_plans_recorded_at
from metering.storage.charges.billed_usage import first_billed_months
from metering.storage.credits.adjustments import first_adjusted_months, last_adjustments_recorded_at


def recorded_at(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return when the last plan or adjustment of accounts was recorded (microseconds UTC); the others are left out."""
    plans, adjusted = last_plans_recorded_at(connection, account_ids), last_adjustments_recorded_at(connection, account_ids)
    return {each: max(plans.get(each, 0), adjusted.get(each, 0)) for each in plans.keys() | adjusted.keys()}


def first_months(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the first month of each account that has one: the same as ``AccountBooks.first_month``."""
    plans = {account_id: month_of_day(day) for account_id, day in first_plan_days(connection, account_ids).items()}
    found: dict[int, int] = {}
    for months in (first_billed_months(connection, account_ids), first_adjusted_months(connection, account_ids), plans):
        for account_id, month in months.items():
            found[account_id] = min(month, found.get(account_id, month))
    return found

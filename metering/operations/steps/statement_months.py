"""The months that an account has statements of: with usage, an adjustment or a fee, and closed ones."""

from collections.abc import Sequence

from sqlalchemy import Connection

from metering.domain.accounts.plan_history import FREE, PlanChange, plan_month
from metering.domain.credits.credits import months_through
from metering.domain.instants import day_number, month_of_day
from metering.domain.statements.billing_months import FIRST_MONTH
from metering.storage.accounts.plans import plan_changes_of
from metering.storage.charges.billed_usage import months_with_usage
from metering.storage.credits.adjustments import adjustments_of
from metering.storage.statements.closed_months import mark_of
from metering.storage.statements.statements import closed_months
from pricing.plans import PlanCatalog


def statement_months(connection: Connection, account_id: int, catalog: PlanCatalog, *, through: int) -> set[int]:
    """Return the months of an account's statements; ``through`` is the current month.

    A month with nothing but a fee counts once it is over. Of an account without any usage, the current one counts, too: its
    fee is all there is to see.
    """
    months = {month for _, month in months_with_usage(connection, account_id)}
    has_usage = bool(months)
    months |= closed_months(connection, account_id).keys()
    months |= {each.billing_month for each in adjustments_of(connection, account_id)}
    closed_through = mark_of(connection, account_id).closed_through or 0
    changes = plan_changes_of(connection, account_id)
    with_plan = _months_with_plan(changes, through)
    open_months = (month for month in with_plan if month > closed_through and not (has_usage and month == through))
    return months | {month for month in open_months if _has_fee(changes, month, catalog)}


def _months_with_plan(changes: Sequence[PlanChange], through: int) -> list[int]:
    """Return the months from the first paid plan on."""
    first = min((month_of_day(day_number(each.effective)) for each in changes if each.plan != FREE), default=None)
    return [] if first is None or first > through else months_through(max(first, FIRST_MONTH), through)


def _has_fee(changes: Sequence[PlanChange], month: int, catalog: PlanCatalog) -> bool:
    return bool(plan_month(changes, month, catalog).fees)

"""Set and list the plans of accounts."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_NAME, Account
from metering.domain.accounts.plan_history import PlanChange
from metering.domain.errors import DomainError
from metering.domain.instants import day_number, first_date, month_of_day, next_month
from metering.operations.steps.find_account import find_account
from metering.storage.accounts.plans import insert_plan_change, plan_changes_of
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.statements.closed_months import mark_of
from pricing.plans import PlanCatalog


class MonthClosedError(DomainError):
    """The change would alter a closed month."""

    code = "month_closed"


MAX_SEATS = 1_000_000


def set_plan(engine: Engine, name: str, change: PlanChange, catalog: PlanCatalog, *, now: int) -> None:
    """Put an account on a plan from a day on.

    Raises MonthClosedError for a day in a closed month, whose statement already includes that day's plan; NotFoundError; and
    pricing's InvalidPlanError for a plan that the catalog does not have or does not sell per seat.
    """
    if not 1 <= change.seats <= MAX_SEATS:
        raise DomainError(f"seats must be from 1 to {MAX_SEATS:,}, not {change.seats:,}")
    catalog.check_seats(change.plan, change.seats)
    with exclusive_write(engine) as connection:
        account = _billable_account(connection, name)
        closed_through = mark_of(connection, account.id).closed_through
        if closed_through is not None and month_of_day(day_number(change.effective)) <= closed_through:
            first_open = first_date(next_month(closed_through))
            raise MonthClosedError(
                f"{change.effective} is in a closed month of {name!r}; set the plan from {first_open} on, and use"
                " `metering statements adjust` for the closed months"
            )
        insert_plan_change(connection, account.id, change, now=now)


def list_plan_changes(engine: Engine, name: str) -> Sequence[PlanChange]:
    """Return an account's plan changes, by day. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return plan_changes_of(connection, find_account(connection, name).id)


def _billable_account(connection: Connection, name: str) -> Account:
    account = find_account(connection, name)
    if account.name == UNASSIGNED_NAME:
        raise DomainError(f"{UNASSIGNED_NAME!r} holds usage of undeclared accounts; it has no plan")
    return account

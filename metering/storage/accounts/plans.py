"""Plan changes of accounts. Append-only: of several changes for one day, the last applies."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from metering.domain.accounts.plan_history import FREE, PlanChange
from metering.domain.instants import date_of, day_number
from metering.storage.tables import plan_changes

_CHANGES = (
    select(plan_changes.c.effective_day, plan_changes.c.plan, plan_changes.c.seats)
    .where(plan_changes.c.account_id == bindparam("account"))
    .order_by(plan_changes.c.effective_day, plan_changes.c.id)
)


def plan_changes_of(connection: Connection, account_id: int) -> list[PlanChange]:
    """Return the account's plan changes, ordered by day, then by when they were recorded."""
    rows = connection.execute(_CHANGES, {"account": account_id})
    return [PlanChange(date_of(day), plan, seats) for day, plan, seats in rows]


def plan_changes_by_account(connection: Connection, account_ids: Sequence[int]) -> dict[int, list[PlanChange]]:
    """Return the plan changes of each account, in the order of ``plan_changes_of``."""
    statement = (
        select(plan_changes.c.account_id, plan_changes.c.effective_day, plan_changes.c.plan, plan_changes.c.seats)
        .where(plan_changes.c.account_id.in_(account_ids))
        .order_by(plan_changes.c.effective_day, plan_changes.c.id)
    )
    changes: dict[int, list[PlanChange]] = {account_id: [] for account_id in account_ids}
    for account_id, day, plan, seats in connection.execute(statement):
        changes[account_id].append(PlanChange(date_of(day), plan, seats))
    return changes


def first_plan_days(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return each account's first day on a plan that is not free, by account ID."""
    statement = (
        select(plan_changes.c.account_id, func.min(plan_changes.c.effective_day))
        .where(plan_changes.c.account_id.in_(account_ids), plan_changes.c.plan != FREE)
        .group_by(plan_changes.c.account_id)
    )
    return dict(connection.execute(statement).all())


def last_plans_recorded_at(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return when the last plan change of each account was recorded (microseconds UTC)."""
    statement = (
        select(plan_changes.c.account_id, func.max(plan_changes.c.recorded_at))
        .where(plan_changes.c.account_id.in_(account_ids))
        .group_by(plan_changes.c.account_id)
    )
    return dict(connection.execute(statement).all())


def insert_plan_change(connection: Connection, account_id: int, change: PlanChange, *, now: int) -> None:
    """Append a plan change."""
    connection.execute(
        insert(plan_changes).values(
            account_id=account_id,
            effective_day=day_number(change.effective),
            plan=change.plan,
            seats=change.seats,
            recorded_at=now,
        )
    )

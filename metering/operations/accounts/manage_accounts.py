"""Declare accounts, rename them, say how they are routed and on which plan they are."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from metering.domain.accounts.plan_history import PlanChange
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.instants import day_number, first_date, month_of_day, next_month
from metering.domain.usage.events import MAX_NAME_LENGTH, PROVIDER_KEY, ROUTED, SERVERLESS
from metering.operations.steps.find_account import find_account
from metering.storage.accounts.accounts import (
    UNASSIGNED_NAME,
    AccountRow,
    account_named,
    account_with_id,
    accounts_by_name,
    former_names,
    insert_account,
    rename_account,
    set_default_route,
)
from metering.storage.accounts.plans import insert_plan_change, plan_changes_of
from metering.storage.engine.database import exclusive_write, read_snapshot
from metering.storage.statements.closed_months import mark_of
from pricing.plans import PlanCatalogue


class MonthClosedError(DomainError):
    """What was asked for would change a closed month."""

    code = "month_closed"


DEFAULT_ROUTES = ("", ROUTED, PROVIDER_KEY, SERVERLESS)
MAX_SEATS = 1_000_000


def declare_account(engine: Engine, name: str, *, default_route: str = "", now: int) -> AccountRow:
    """Create an account. Raises AlreadyExistsError when the name is, or was, another's."""
    _check_name(name)
    _check_route(default_route)
    with exclusive_write(engine) as connection:
        if former_names(connection, name, 0):
            raise AlreadyExistsError(f"the name {name!r} belongs, or belonged, to an account already")
        insert_account(connection, name, default_route=default_route, now=now)
        return find_account(connection, name)


def ensure_account(engine: Engine, name: str, *, now: int) -> AccountRow:
    """Return the account with the name, created where nobody has it."""
    with read_snapshot(engine) as connection:
        account = account_named(connection, name)
    return account or declare_account(engine, name, now=now)


def show_account(engine: Engine, name: str) -> AccountRow:
    """Return an account by its current name. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return find_account(connection, name)


def show_account_by_id(engine: Engine, account_id: int) -> AccountRow | None:
    """Return an account by its id, None when it does not exist."""
    with read_snapshot(engine) as connection:
        return account_with_id(connection, account_id)


def list_accounts(engine: Engine, *, after: str = "", limit: int | None = None) -> list[AccountRow]:
    """Return accounts in the order of their names."""
    with read_snapshot(engine) as connection:
        return accounts_by_name(connection, after=after, limit=limit)


def change_account(
    engine: Engine, name: str, *, new_name: str | None = None, default_route: str | None = None, now: int
) -> AccountRow:
    """Rename an account from now on, or set the route of requests whose records do not say. What is None stays.

    Raises NotFoundError, AlreadyExistsError, and DomainError for the account that holds what nobody declared.
    """
    with exclusive_write(engine) as connection:
        account = find_account(connection, name)
        if account.name == UNASSIGNED_NAME:
            raise DomainError(f"{UNASSIGNED_NAME!r} holds what nobody has declared; it can not be changed")
        if default_route is not None:
            _check_route(default_route)
            set_default_route(connection, account.id, default_route)
        if new_name is not None and new_name != account.name:
            _check_name(new_name)
            if former_names(connection, new_name, now):
                raise AlreadyExistsError(f"the name {new_name!r} belongs to an account already")
            rename_account(connection, account.id, new_name, since=now)
        return find_account(connection, new_name or name)


def set_plan(engine: Engine, name: str, change: PlanChange, catalogue: PlanCatalogue, *, now: int) -> None:
    """Say that an account is on a plan from a day on.

    A day in a closed month is refused (MonthClosedError): its statement says what the plan of that day came to. Raises
    NotFoundError, and pricing's InvalidPlanError for a plan that the catalogue does not have, or does not sell by the seat.
    """
    if not 1 <= change.seats <= MAX_SEATS:
        raise DomainError(f"seats must be from 1 to {MAX_SEATS}, got {change.seats}")
    catalogue.check_seats(change.plan, change.seats)
    with exclusive_write(engine) as connection:
        account = _billable_account(connection, name)
        closed_through = mark_of(connection, account.id).closed_through
        if closed_through is not None and month_of_day(day_number(change.effective)) <= closed_through:
            first_open = first_date(next_month(closed_through))
            raise MonthClosedError(
                f"{change.effective} is in a month of {name!r} that is closed; say the plan from {first_open} on, and"
                " adjust what the closed months should have come to"
            )
        insert_plan_change(connection, account.id, change, now=now)


def list_plan_changes(engine: Engine, name: str) -> Sequence[PlanChange]:
    """Return what was said of an account's plans, by day. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return plan_changes_of(connection, find_account(connection, name).id)


def _billable_account(connection: Connection, name: str) -> AccountRow:
    account = find_account(connection, name)
    if account.name == UNASSIGNED_NAME:
        raise DomainError(f"{UNASSIGNED_NAME!r} holds what nobody has declared; it has no plan")
    return account


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME_LENGTH or name != name.strip() or not name.isprintable() or "/" in name:
        raise DomainError(
            f"an account's name has 1 to {MAX_NAME_LENGTH} printable characters, no slash and no space around it,"
            f" got {name[:40]!r}"
        )


def _check_route(route: str) -> None:
    if route not in DEFAULT_ROUTES:
        raise DomainError(f"a route is one of {', '.join(DEFAULT_ROUTES[1:])}, or empty for unknown, got {route[:40]!r}")

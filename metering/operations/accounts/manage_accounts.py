"""Declare, rename and list accounts, and set their default billing route."""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import UNASSIGNED_NAME, Account, AccountPlans
from metering.domain.accounts.plan_history import PlanChange
from metering.domain.errors import AlreadyExistsError, DomainError
from metering.domain.usage.events import MAX_NAME_LENGTH, PROVIDER_KEY, ROUTED, SERVERLESS
from metering.operations.steps.find_account import find_account
from metering.storage.accounts.accounts import (
    account_named,
    account_with_id,
    accounts_by_name,
    former_names,
    insert_account,
    names_by_id,
    rename_account,
    set_default_route,
)
from metering.storage.accounts.plans import insert_plan_change, plan_changes_by_account
from metering.storage.engine.database import exclusive_write, read_snapshot

DEFAULT_ROUTES = ("", ROUTED, PROVIDER_KEY, SERVERLESS)


def declare_account(engine: Engine, name: str, *, default_route: str = "", plan: PlanChange | None = None, now: int) -> Account:
    """Create an account, with a plan of the catalog if one is given.

    Raises AlreadyExistsError for a name that an account has or had.
    """
    _check_name(name)
    _check_route(default_route)
    with exclusive_write(engine) as connection:
        if former_names(connection, name, 0):
            raise AlreadyExistsError(f"{name!r} is or was the name of an account; choose another name")
        account_id = insert_account(connection, name, default_route=default_route, now=now)
        if plan is not None:
            insert_plan_change(connection, account_id, plan, now=now)
        return find_account(connection, name)


def ensure_account(engine: Engine, name: str, *, now: int) -> Account:
    """Return the account with this name; create it if it does not exist."""
    with read_snapshot(engine) as connection:
        account = account_named(connection, name)
    return account or declare_account(engine, name, now=now)


def show_account(engine: Engine, name: str) -> Account:
    """Return an account by its current name. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return find_account(connection, name)


def show_account_by_id(engine: Engine, account_id: int) -> Account | None:
    """Return an account by its ID; None if there is none."""
    with read_snapshot(engine) as connection:
        return account_with_id(connection, account_id)


def account_names(engine: Engine, account_ids: Iterable[int | None] | None = None) -> dict[int, str]:
    """Return the current names of accounts by ID. Default: all accounts. None among the IDs is ignored."""
    ids = None if account_ids is None else {each for each in account_ids if each is not None}
    with read_snapshot(engine) as connection:
        return names_by_id(connection, ids)


def show_account_plans(engine: Engine, name: str) -> AccountPlans:
    """Return an account with its plan changes. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        return _with_plans(connection, [find_account(connection, name)])[0]


def list_accounts(engine: Engine, *, after: str = "", limit: int | None = None) -> list[AccountPlans]:
    """Return accounts with their plan changes, ordered by name, starting after ``after``."""
    with read_snapshot(engine) as connection:
        return _with_plans(connection, accounts_by_name(connection, after=after, limit=limit))


def change_account(
    engine: Engine, name: str, *, new_name: str | None = None, default_route: str | None = None, now: int
) -> Account:
    """Rename an account from now on, or set its default billing route. None keeps a value.

    Raises NotFoundError, AlreadyExistsError, and DomainError for ``unassigned``.
    """
    with exclusive_write(engine) as connection:
        account = find_account(connection, name)
        if account.name == UNASSIGNED_NAME:
            raise DomainError(f"{UNASSIGNED_NAME!r} holds usage of undeclared accounts; it cannot be changed")
        if default_route is not None:
            _check_route(default_route)
            set_default_route(connection, account.id, default_route)
        if new_name is not None and new_name != account.name:
            _check_name(new_name)
            if former_names(connection, new_name, now):
                raise AlreadyExistsError(f"an account is named {new_name!r} already")
            rename_account(connection, account.id, new_name, since=now)
        return find_account(connection, new_name or name)


def _with_plans(connection: Connection, accounts: list[Account]) -> list[AccountPlans]:
    changes = plan_changes_by_account(connection, [account.id for account in accounts])
    return [AccountPlans(account, changes[account.id]) for account in accounts]


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME_LENGTH or name != name.strip() or not name.isprintable() or "/" in name:
        raise DomainError(
            f"an account name must have 1 to {MAX_NAME_LENGTH} printable characters, without slashes and without spaces at"
            f" either end, not {name[:40]!r}"
        )


def _check_route(route: str) -> None:
    if route not in DEFAULT_ROUTES:
        known = ", ".join(DEFAULT_ROUTES[1:])
        raise DomainError(f"a default route must be one of {known}, or empty for unknown, not {route[:40]!r}")

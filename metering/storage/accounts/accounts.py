"""Accounts, their dated names, and their settings."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from metering.domain.accounts.accounts import Account
from metering.storage.engine.sql import by_code_point
from metering.storage.tables import account_names, accounts

_CURRENT = (
    select(accounts.c.id, account_names.c.name, accounts.c.default_route, accounts.c.created_at)
    .join(account_names, account_names.c.account_id == accounts.c.id)
    .where(account_names.c.valid_to.is_(None))
)
_NAMED = _CURRENT.where(account_names.c.name == bindparam("name"))
# Built once, because every commit of events runs it.
_NAME_PERIODS = (
    select(
        account_names.c.name,
        account_names.c.account_id,
        account_names.c.valid_from,
        account_names.c.valid_to,
        accounts.c.default_route,
    )
    .join(accounts, accounts.c.id == account_names.c.account_id)
    .where(account_names.c.name.in_(bindparam("names", expanding=True)))
    .order_by(account_names.c.valid_from)
)


class NamePeriod(NamedTuple):
    """One name of one account, from ``valid_from`` to ``valid_to`` (exclusive; None: current)."""

    name: str
    account_id: int
    valid_from: int
    valid_to: int | None
    default_route: str


def name_periods(connection: Connection, names: Collection[str]) -> list[NamePeriod]:
    """Return every period of the given names, oldest first."""
    return [NamePeriod(*row) for row in connection.execute(_NAME_PERIODS, {"names": list(names)})]


def account_named(connection: Connection, name: str) -> Account | None:
    """Return the account with this current name; None if there is none."""
    row = connection.execute(_NAMED, {"name": name}).one_or_none()
    return None if row is None else Account(*row)


def account_with_id(connection: Connection, account_id: int) -> Account | None:
    """Return an account by its id, under its current name."""
    row = connection.execute(_CURRENT.where(accounts.c.id == account_id)).first()
    return None if row is None else Account(*row)


def accounts_by_name(connection: Connection, *, after: str = "", limit: int | None = None) -> list[Account]:
    """Return accounts ordered by name, starting after ``after``."""
    name = by_code_point(account_names.c.name)
    statement = _CURRENT.where(name > after).order_by(name)
    return [Account(*row) for row in connection.execute(statement.limit(limit))]


def names_by_id(connection: Connection, account_ids: Collection[int] | None) -> dict[int, str]:
    """Return the current names of accounts by ID; of all accounts if None is given."""
    statement = select(account_names.c.account_id, account_names.c.name).where(account_names.c.valid_to.is_(None))
    if account_ids is not None:
        statement = statement.where(account_names.c.account_id.in_(sorted(account_ids)))
    return {row.account_id: row.name for row in connection.execute(statement)}


def next_account_id(connection: Connection, after: int) -> int | None:
    """Return the smallest account ID above ``after``; None if there is none."""
    account_id: int | None = connection.execute(select(func.min(accounts.c.id)).where(accounts.c.id > after)).scalar_one()
    return account_id


def insert_account(connection: Connection, name: str, *, default_route: str, now: int) -> int:
    """Create an account; return its ID. Its name is valid from the beginning of time, so that older logs resolve to it."""
    account_id: int = connection.execute(
        insert(accounts).values(default_route=default_route, created_at=now).returning(accounts.c.id)
    ).scalar_one()
    connection.execute(insert(account_names).values(name=name, account_id=account_id, valid_from=0))
    return account_id


def rename_account(connection: Connection, account_id: int, name: str, *, since: int) -> None:
    """Rename an account from ``since`` on; the old name stays valid for times before."""
    connection.execute(
        update(account_names)
        .where(account_names.c.account_id == account_id, account_names.c.valid_to.is_(None))
        .values(valid_to=since)
    )
    connection.execute(insert(account_names).values(name=name, account_id=account_id, valid_from=since))


def set_default_route(connection: Connection, account_id: int, route: str) -> None:
    """Set the billing route of the account's records that do not state one."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(default_route=route))


def former_names(connection: Connection, name: str, instant: int) -> list[int]:
    """Return the IDs of accounts that have the name at ``instant`` or later."""
    statement = select(account_names.c.account_id).where(
        account_names.c.name == name,
        or_(account_names.c.valid_to.is_(None), account_names.c.valid_to > instant),
    )
    return list(connection.execute(statement).scalars())


def names_of_account(connection: Connection, account_id: int) -> list[str]:
    """Return every name that an account has or had."""
    statement = select(account_names.c.name).where(account_names.c.account_id == account_id)
    return list(connection.execute(statement.order_by(account_names.c.id)).scalars())

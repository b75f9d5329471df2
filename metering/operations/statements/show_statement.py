"""Show and list statements: closed ones as sealed, drafts computed from what is stored now."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Engine

from metering.domain.accounts.accounts import Account
from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month, month_of
from metering.domain.statements.statements import Statement, as_of
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import statement_of_account, statements_of_account
from metering.operations.steps.statement_months import statement_months
from metering.storage.accounts.accounts import account_named, accounts_by_name
from metering.storage.charges.billed_usage import months_with_usage
from metering.storage.engine.database import read_snapshot
from metering.storage.statements.statements import statement_of_month
from pricing.plans import PlanCatalog

_ACCOUNTS_AT_ONCE = 50


class ListedStatement(NamedTuple):
    """A statement under its account's current name; a closed statement keeps the name it was closed with."""

    account: str
    statement: Statement


class StatementFilter(Struct, frozen=True):
    """Which statements to list: those of one account (None: all), with one status (None: any)."""

    account: str | None = None
    status: str | None = None


def show_statement(engine: Engine, account: str, month: int, catalog: PlanCatalog, *, now: int | None = None) -> Statement:
    """Return the statement of ``month`` (``YYYYMM``); ``now`` flags a month that has not begun.

    Raises NotFoundError if the account does not exist.
    """
    with read_snapshot(engine) as connection:
        statement = statement_of_account(connection, find_account(connection, account), month, catalog)
    return statement if now is None else as_of(statement, now)


def canonical_statement(engine: Engine, account: str, month: int) -> bytes:
    """Return the bytes that a closed statement's digest covers. Raises NotFoundError if the month is not closed."""
    with read_snapshot(engine) as connection:
        closed = statement_of_month(connection, find_account(connection, account).id, month)
    if closed is None:
        raise NotFoundError(
            f"{format_month(month)} of {account[:80]!r} is not closed: only closed statements have a canonical form"
        )
    return closed.content.encode()


def last_billed_month(engine: Engine, account: str, *, now: int) -> int:
    """Return the last month with usage on an account's statement; the current month if there is none."""
    with read_snapshot(engine) as connection:
        months = months_with_usage(connection, find_account(connection, account).id)
    return max((month for _, month in months), default=month_of(now))


def list_statements(
    engine: Engine,
    wanted: StatementFilter,
    catalog: PlanCatalog,
    *,
    now: int,
    after: tuple[str, str] = ("", ""),
    limit: int | None = None,
) -> list[ListedStatement]:
    """Return the statements of every month with usage, an adjustment or a fee, by current account name and month.

    Closed months are always listed; months with nothing but a fee as ``statement_months`` has it.

    ``after`` is the account name and month (``YYYY-MM``) of the last statement on the previous page. Raises NotFoundError if
    the account of the filter does not exist.
    """
    found: list[ListedStatement] = []
    with read_snapshot(engine) as connection:
        for account in _accounts(connection, wanted.account, after[0]):
            months = statement_months(connection, account.id, catalog, through=month_of(now))
            for statement in statements_of_account(connection, account, sorted(months), catalog):
                is_wanted = wanted.status in (None, statement.status)
                if is_wanted and (account.name, format_month(statement.month)) > after:
                    found.append(ListedStatement(account.name, statement))
            if limit is not None and len(found) >= limit:
                break
    return found if limit is None else found[:limit]


def _accounts(connection: Connection, name: str | None, first: str) -> Iterator[Account]:
    """Yield the named account, or all accounts from ``first`` on: the previous page may have ended within its months."""
    if name is not None:
        yield find_account(connection, name)
        return
    account = account_named(connection, first) if first else None
    if account is not None:  # None: renamed since the previous page
        yield account
    after = first
    while accounts := accounts_by_name(connection, after=after, limit=_ACCOUNTS_AT_ONCE):
        yield from accounts
        after = accounts[-1].name

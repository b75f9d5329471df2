"""How far an account's months are closed, and the lock between ingest and closing.

Ingest takes its accounts' locks shared, closing takes one exclusively, each before it reads how far months are closed. SQLite
has a single writer and needs no lock.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, select, update

from metering.storage.engine.backend import backend_of
from metering.storage.tables import accounts, charges, series, statements

_FIRST_INGEST = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"), accounts.c.first_ingest_at.is_(None))
    .values(first_ingest_at=bindparam("now"))
)
_MARK = select(accounts.c.id, accounts.c.closed_through, accounts.c.first_ingest_at).where(
    accounts.c.id == bindparam("account")
)


class AccountMark(NamedTuple):
    """How far an account's months are closed (``YYYYMM``), and when its first events were stored; None: not yet."""

    account_id: int
    closed_through: int | None
    first_ingest_at: int | None


def lock_open(connection: Connection, account_ids: Collection[int]) -> list[AccountMark]:
    """Keep the accounts' months from being closed until the transaction ends; return how far they are closed."""
    wanted = sorted(account_ids)
    # A separate statement: only one that starts after the lock is taken sees what the previous close committed.
    backend_of(connection).share_accounts(connection, wanted)
    statement = select(accounts.c.id, accounts.c.closed_through, accounts.c.first_ingest_at).where(accounts.c.id.in_(wanted))
    return [AccountMark(*row) for row in connection.execute(statement)]


def lock_for_close(connection: Connection, account_id: int) -> AccountMark:
    """Wait for writers of the account's events, lock out new ones, and return how far it is closed."""
    backend_of(connection).lock_account(connection, account_id)
    return mark_of(connection, account_id)


def mark_of(connection: Connection, account_id: int) -> AccountMark:
    """Return how far an account is closed."""
    return AccountMark(*connection.execute(_MARK, {"account": account_id}).one())


def marks_after(connection: Connection, after: int, limit: int) -> list[AccountMark]:
    """Return accounts by id, from the first after ``after``."""
    statement = (
        select(accounts.c.id, accounts.c.closed_through, accounts.c.first_ingest_at)
        .where(accounts.c.id > after)
        .order_by(accounts.c.id)
        .limit(limit)
    )
    return [AccountMark(*row) for row in connection.execute(statement)]


def closed_through_by_series(connection: Connection, series_ids: Collection[int]) -> dict[int, int]:
    """Return how far the account of each series is closed; series without a closed month are left out."""
    statement = (
        select(series.c.id, accounts.c.closed_through)
        .join(accounts, accounts.c.id == series.c.account_id)
        .where(series.c.id.in_(sorted(series_ids)), accounts.c.closed_through.is_not(None))
    )
    return dict(connection.execute(statement).all())


def closed_through_by_account(connection: Connection) -> dict[int, int]:
    """Return how far each account is closed; accounts without a closed month are left out."""
    statement = select(accounts.c.id, accounts.c.closed_through).where(accounts.c.closed_through.is_not(None))
    return dict(connection.execute(statement).all())


def charges_written_after_close(connection: Connection) -> list[tuple[int, int, int, int]]:
    """Return charges that are billed in a month closed before they were written: (charge, event, account, month)."""
    statement = (
        select(charges.c.id, charges.c.event_id, series.c.account_id, charges.c.billing_month)
        .join(series, series.c.id == charges.c.series_id)
        .join(
            statements,
            and_(statements.c.account_id == series.c.account_id, statements.c.month == charges.c.billing_month),
        )
        .where(charges.c.id > statements.c.last_charge_id)
        .order_by(charges.c.id)
    )
    return [tuple(row) for row in connection.execute(statement)]


def record_first_ingest(connection: Connection, account_ids: Collection[int], now: int) -> None:
    """Record when events of accounts were first stored, in id order: another writer may update the same rows."""
    if account_ids:
        connection.execute(_FIRST_INGEST, [{"account": account_id, "now": now} for account_id in sorted(account_ids)])


def advance_closed_through(connection: Connection, account_id: int, month: int) -> None:
    """Record that an account is closed through a month."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(closed_through=month))


def last_charge_id(connection: Connection) -> int:
    """Return the id of the last later charge, 0 if there are none."""
    return connection.execute(select(func.max(charges.c.id))).scalar_one() or 0

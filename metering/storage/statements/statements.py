"""Closed statements: written once, never changed."""

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select

from metering.storage.tables import statements


class ClosedStatement(NamedTuple):
    """A closed statement; ``content`` is its canonical form, ``closed_at`` microseconds UTC."""

    account_id: int
    month: int
    closed_at: int
    content: str
    digest: str
    total_cents: int
    carried_cents: int
    last_charge_id: int
    last_entry_id: int


_COLUMNS = tuple(statements.c[name] for name in ClosedStatement._fields)
_OF_MONTH = select(*_COLUMNS).where(statements.c.account_id == bindparam("account"), statements.c.month == bindparam("month"))
_CLOSED_MONTHS = (
    select(statements.c.month, statements.c.carried_cents)
    .where(statements.c.account_id == bindparam("account"))
    .order_by(statements.c.month)
)


def insert_statement(connection: Connection, closed: ClosedStatement) -> None:
    """Append a closed statement."""
    connection.execute(insert(statements).values(**closed._asdict()))


def statement_of_month(connection: Connection, account_id: int, month: int) -> ClosedStatement | None:
    """Return the closed statement of an account's month; None while it is open."""
    row = connection.execute(_OF_MONTH, {"account": account_id, "month": month}).one_or_none()
    return None if row is None else ClosedStatement(*row)


def statements_of(connection: Connection, account_id: int) -> list[ClosedStatement]:
    """Return the account's closed statements, by month."""
    statement = select(*_COLUMNS).where(statements.c.account_id == account_id).order_by(statements.c.month)
    return [ClosedStatement(*row) for row in connection.execute(statement)]


def closed_months(connection: Connection, account_id: int) -> dict[int, int]:
    """Return the account's closed months, in order, with the cents that each carried forward."""
    return dict(connection.execute(_CLOSED_MONTHS, {"account": account_id}).all())


def accounts_with_statements(connection: Connection) -> list[int]:
    """Return the ids of all accounts with a closed statement, in order."""
    return list(connection.execute(select(statements.c.account_id).distinct().order_by(statements.c.account_id)).scalars())

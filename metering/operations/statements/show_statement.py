"""Show the statement of an account's month: as it was closed, or a draft, computed from what is stored now."""

from sqlalchemy import Engine

from metering.domain.errors import NotFoundError
from metering.domain.instants import format_month
from metering.domain.statements.statements import Statement
from metering.operations.steps.find_account import find_account
from metering.operations.steps.read_books import statement_of_account, statements_of_account
from metering.storage.accounts.accounts import accounts_by_name
from metering.storage.charges.billed_usage import months_with_usage
from metering.storage.engine.database import read_snapshot
from metering.storage.statements.statements import closed_months, statement_of_month
from pricing.plans import PlanCatalogue


def show_statement(engine: Engine, account: str, month: int, catalogue: PlanCatalogue) -> Statement:
    """Return the statement of ``month`` (``YYYYMM``). Raises NotFoundError for an account that does not exist."""
    with read_snapshot(engine) as connection:
        return statement_of_account(connection, find_account(connection, account), month, catalogue)


def canonical_statement(engine: Engine, account: str, month: int) -> bytes:
    """Return the bytes that a closed statement's digest is over. Raises NotFoundError for a month that is not closed."""
    with read_snapshot(engine) as connection:
        closed = statement_of_month(connection, find_account(connection, account).id, month)
    if closed is None:
        raise NotFoundError(
            f"{format_month(month)} of {account[:80]!r} is not closed: only a closed statement has a canonical form"
        )
    return closed.content.encode()


def list_statements(engine: Engine, account: str | None, catalogue: PlanCatalogue) -> list[Statement]:
    """Return the statements of every month with usage or closed, by account name and month. Raises NotFoundError."""
    with read_snapshot(engine) as connection:
        rows = accounts_by_name(connection) if account is None else [find_account(connection, account)]
        found: list[Statement] = []
        for row in rows:
            months = {month for _, month in months_with_usage(connection, row.id)} | closed_months(connection, row.id).keys()
            found += statements_of_account(connection, row, sorted(months), catalogue)
        return found

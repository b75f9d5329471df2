"""Show the statement of an account's month: a draft, computed from what is stored now."""

from sqlalchemy import Connection, Engine

from metering.domain.statements import Statement, draft_statement
from metering.operations.steps.burn_credits import credits_through
from metering.operations.steps.find_account import find_account
from metering.storage.accounts import AccountRow, accounts_by_name
from metering.storage.database import reading
from metering.storage.price_tables import load_rates
from metering.storage.usage import months_with_usage, usage_of_month
from pricing.plans import PlanCatalogue


def show_statement(engine: Engine, account: str, month: int, catalogue: PlanCatalogue) -> Statement:
    """Return the draft statement of ``month`` (``YYYYMM``). Raises NotFoundError for an account that does not exist."""
    with reading(engine) as connection:
        return statement_of(connection, find_account(connection, account), month, catalogue)


def statement_of(connection: Connection, account: AccountRow, month: int, catalogue: PlanCatalogue) -> Statement:
    """Return the draft statement of an account's month, within a transaction."""
    usage = usage_of_month(connection, account.id, month)
    plan, burned = credits_through(connection, account.id, month, catalogue)
    rates = load_rates(connection, {sums.rate_id for sums in usage if sums.rate_id})
    return draft_statement(account.name, plan, usage, burned, rates)


def list_statements(engine: Engine, account: str | None, catalogue: PlanCatalogue) -> list[Statement]:
    """Return the statements of every month with usage, by account name and month. Raises NotFoundError."""
    with reading(engine) as connection:
        rows = accounts_by_name(connection) if account is None else [find_account(connection, account)]
        return [
            statement_of(connection, row, month, catalogue)
            for row in rows
            for _, month in months_with_usage(connection, row.id)
        ]

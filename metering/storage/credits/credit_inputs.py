"""What the credits of all accounts depend on, in brief. Comparing two readings shows which accounts have changed."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, func, select

from metering.storage.charges.billed_usage import BILLED_NANO
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import accounts, adjustments, credit_entries, credit_grants, month_rollups, plan_changes, series


class CreditInputs(NamedTuple):
    """What one account's credits in ``month`` depend on.

    ``usage`` is (billing month, origin month, nano-USD) of the open months; closed months do not change. Append-only tables are
    counted: their highest id would not do, because ids may be committed out of order. ``granted`` counts the grants that have
    started.
    """

    month: int
    closed_through: int | None
    usage: tuple[tuple[int, int, int], ...]
    plan_changes: int
    adjustments: int
    entries: int
    granted: int


def credit_inputs(connection: Connection, month: int, now: int) -> dict[int, CreditInputs]:
    """Return the inputs of each account with usage billed in ``month``, by account id."""
    usage: dict[int, list[tuple[int, int, int]]] = {}
    closed: dict[int, int | None] = {}
    for account_id, through, billing, origin, *amount in connection.execute(_usage_of_open_months()):
        usage.setdefault(account_id, []).append((billing, origin, whole_sum(*amount)))
        closed[account_id] = through
    changes, adjusted, entries = (
        _counts(connection, _rows_by_account(table)) for table in (plan_changes, adjustments, credit_entries)
    )
    granted = _counts(connection, _rows_by_account(credit_grants).where(credit_grants.c.granted_at <= now))
    return {
        account_id: CreditInputs(
            month=month,
            closed_through=closed[account_id],
            usage=tuple(found),
            plan_changes=changes.get(account_id, 0),
            adjustments=adjusted.get(account_id, 0),
            entries=entries.get(account_id, 0),
            granted=granted.get(account_id, 0),
        )
        for account_id, found in sorted(usage.items())
        if any(billing == month for billing, _, _ in found)
    }


def _usage_of_open_months() -> Select[Any]:
    key = series.c.account_id, accounts.c.closed_through, month_rollups.c.billing_month, month_rollups.c.event_month
    return (
        select(*key, *halved_sum(BILLED_NANO))
        .join_from(month_rollups, series, series.c.id == month_rollups.c.series_id)
        .join(accounts, accounts.c.id == series.c.account_id)
        .where(month_rollups.c.billing_month > func.coalesce(accounts.c.closed_through, 0))
        .group_by(*key)
        .order_by(*key)
    )


def _rows_by_account(table: Table) -> Select[Any]:
    return select(table.c.account_id, func.count()).group_by(table.c.account_id)


def _counts(connection: Connection, statement: Select[Any]) -> dict[int, int]:
    return dict(connection.execute(statement).all())

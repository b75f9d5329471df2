"""What the credits of all accounts depend on, in brief. Comparing two readings shows which accounts have changed."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, func, literal_column, select

from metering.domain.credits.credit_ledger import EntryKind
from metering.domain.credits.credits import INCLUDED
from metering.domain.instants import MICROS_PER_DAY
from metering.storage.charges.billed_usage import BILLED_NANO
from metering.storage.engine.sql import halved_sum, whole_sum
from metering.storage.tables import accounts, adjustments, credit_entries, credit_grants, month_rollups, plan_changes, series
from metering.storage.tables.schema import Int64


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


class CreditsReceived(NamedTuple):
    """When an account last received a grant, and when anything else but usage last changed its credits (microseconds UTC)."""

    granted_at: int = 0
    changed_at: int = 0

    def later(self, granted_at: int, changed_at: int) -> "CreditsReceived":
        """Return the later instants of both."""
        return CreditsReceived(max(self.granted_at, granted_at), max(self.changed_at, changed_at))


_NEVER = CreditsReceived()


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


def credits_received(connection: Connection, account_ids: Collection[int], now: int) -> dict[int, CreditsReceived]:
    """Return when accounts last received credits; accounts that never did are left out."""
    among = sorted(account_ids)
    entered = (
        select(credit_grants.c.account_id, credit_entries.c.kind, credit_entries.c.recorded_at, credit_grants.c.granted_at)
        .join_from(credit_grants, credit_entries, credit_entries.c.grant_id == credit_grants.c.id)
        .where(credit_grants.c.account_id.in_(among), credit_grants.c.granted_at <= now, credit_grants.c.kind != INCLUDED)
    )
    received: dict[int, CreditsReceived] = {}
    for account_id, kind, recorded_at, started_at in connection.execute(entered):
        at = max(recorded_at, started_at) if kind == EntryKind.GRANT.value else 0
        received[account_id] = received.get(account_id, _NEVER).later(at, max(recorded_at, started_at))
    elsewhere = select(credit_entries.c.account_id, credit_entries.c.recorded_at).where(
        credit_entries.c.account_id.in_(among), credit_entries.c.grant_id.is_(None)
    )
    day = plan_changes.c.effective_day * literal_column(str(MICROS_PER_DAY), Int64)
    planned = select(plan_changes.c.account_id, plan_changes.c.recorded_at, day).where(
        plan_changes.c.account_id.in_(among), day <= now
    )
    for statement in (elsewhere, planned):
        for account_id, *instants in connection.execute(statement):
            received[account_id] = received.get(account_id, _NEVER).later(0, max(instants))
    return received


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

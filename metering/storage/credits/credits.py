"""Grants of credits, the ledger of their movements, and what of the included ones was spent elsewhere."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from metering.domain.credits.credit_ledger import CreditEntry, EntryKind
from metering.domain.credits.credits import INCLUDED, CreditGrant
from metering.domain.instants import format_month, month_of
from metering.storage.tables import credit_entries, credit_grants

INCLUDED_REFERENCE = "included:"
"""What the references of included grants begin with; nobody else's may."""

_GRANT = tuple(
    credit_grants.c[name]
    for name in ("id", "kind", "amount_nano", "granted_at", "expires_at", "reference", "scope")
)  # fmt: skip
_INSERT_ENTRY = insert(credit_entries).inline()


def grants_of(connection: Connection, account_id: int) -> list[CreditGrant]:
    """Return the account's grants, oldest first, with what was taken back of each."""
    voided = (
        select(-func.sum(credit_entries.c.amount_nano))
        .where(credit_entries.c.grant_id == credit_grants.c.id, credit_entries.c.kind == EntryKind.VOID.value)
        .scalar_subquery()
    )
    statement = (
        select(*_GRANT, func.coalesce(voided, 0).label("voided_nano"))
        .where(credit_grants.c.account_id == account_id)
        .order_by(credit_grants.c.id)
    )
    return [_grant(row) for row in connection.execute(statement)]


def insert_grant(connection: Connection, account_id: int, grant: CreditGrant) -> int:
    """Append a grant; return its id. The entry that says so is the caller's to append."""
    reference = grant.reference
    if grant.kind == INCLUDED:
        reference = f"{INCLUDED_REFERENCE}{format_month(month_of(grant.granted_at))}"
    grant_id: int = connection.execute(
        insert(credit_grants)
        .values(
            account_id=account_id,
            kind=grant.kind,
            amount_nano=grant.amount_nano,
            granted_at=grant.granted_at,
            expires_at=grant.expires_at,
            reference=reference,
            scope=grant.scope,
        )
        .returning(credit_grants.c.id)
    ).scalar_one()
    return grant_id


def insert_entries(connection: Connection, account_id: int, entries: Sequence[CreditEntry], *, now: int) -> None:
    """Append movements of grants that are recorded, in the given order."""
    if entries:
        rows = [
            {
                "account_id": account_id,
                "grant_id": entry.grant.id,
                "kind": entry.kind.value,
                "amount_nano": entry.amount_nano,
                "billing_month": entry.billing_month,
                "reason": entry.reason,
                "recorded_at": now,
                "usage_month": entry.usage_month,
            }
            for entry in entries
        ]
        connection.execute(_INSERT_ENTRY, rows)


def ledger_of(connection: Connection, account_id: int, grants: Sequence[CreditGrant]) -> list[CreditEntry]:
    """Return every movement of the account's ``grants``, in the order in which they were written."""
    by_id = {grant.id: grant for grant in grants}
    statement = (
        select(
            credit_entries.c.grant_id,
            credit_entries.c.kind,
            credit_entries.c.amount_nano,
            credit_entries.c.usage_month,
            credit_entries.c.billing_month,
            credit_entries.c.reason,
            credit_entries.c.id,
            credit_entries.c.recorded_at,
        )
        .where(credit_entries.c.account_id == account_id, credit_entries.c.grant_id.is_not(None))
        .order_by(credit_entries.c.id)
    )
    return [
        CreditEntry(
            grant=by_id[row.grant_id],
            kind=EntryKind(row.kind),
            amount_nano=row.amount_nano,
            usage_month=row.usage_month,
            billing_month=row.billing_month,
            reason=row.reason,
            id=row.id,
            recorded_at=row.recorded_at,
        )
        for row in connection.execute(statement)
    ]


def last_entry_id(connection: Connection, account_id: int) -> int:
    """Return the id of the account's last entry, 0 where there is none."""
    statement = select(func.max(credit_entries.c.id)).where(credit_entries.c.account_id == account_id)
    return connection.execute(statement).scalar_one() or 0


def overdrawn_grants(connection: Connection, account_id: int | None = None) -> list[tuple[int, int, int]]:
    """Return the grants of an account, or of all, of which less than nothing is left: (account id, grant id, nano-USD)."""
    left = func.sum(credit_entries.c.amount_nano)
    statement = (
        select(credit_entries.c.account_id, credit_entries.c.grant_id, left)
        .where(credit_entries.c.grant_id.is_not(None))
        .group_by(credit_entries.c.account_id, credit_entries.c.grant_id)
        .having(left < 0)
        .order_by(credit_entries.c.grant_id)
    )
    if account_id is not None:
        statement = statement.where(credit_entries.c.account_id == account_id)
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def accounts_with_grants(connection: Connection) -> list[int]:
    """Return the accounts that were ever granted credits, in order."""
    return list(
        connection.execute(select(credit_grants.c.account_id).distinct().order_by(credit_grants.c.account_id)).scalars()
    )


def used_elsewhere(connection: Connection, account_id: int) -> dict[int, int]:
    """Return, by month, how much included credit was spent on other Hugging Face compute, nano-USD, as far as told."""
    statement = (
        select(credit_entries.c.usage_month, func.sum(credit_entries.c.amount_nano))
        .where(
            credit_entries.c.account_id == account_id,
            credit_entries.c.kind == EntryKind.USED_ELSEWHERE.value,
            credit_entries.c.grant_id.is_(None),
        )
        .group_by(credit_entries.c.usage_month)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def insert_used_elsewhere(
    connection: Connection, account_id: int, month: int, amount_nano: int, *, reason: str, now: int
) -> None:
    """Append what was told: signed nano-USD of a month's included credit that was spent elsewhere."""
    connection.execute(
        insert(credit_entries).values(
            account_id=account_id,
            kind=EntryKind.USED_ELSEWHERE.value,
            amount_nano=amount_nano,
            billing_month=month,
            usage_month=month,
            reason=reason,
            recorded_at=now,
        )
    )


def _grant(row: Any) -> CreditGrant:
    shown = "" if row.kind == INCLUDED else row.reference
    return CreditGrant(
        row.id, row.kind, row.amount_nano, row.granted_at, row.expires_at, shown, row.scope, row.voided_nano
    )  # fmt: skip

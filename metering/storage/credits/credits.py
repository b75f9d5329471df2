"""Credit grants, their ledger, and included credits recorded as spent elsewhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select

from metering.domain.credits.credit_ledger import CreditEntry, EntryKind
from metering.domain.credits.credits import INCLUDED, CreditGrant
from metering.domain.instants import date_of, day_of, format_month, month_of
from metering.storage.tables import credit_entries, credit_grants

INCLUDED_REFERENCE = "included:"
"""Prefix of the references of included credits; other grants cannot use it."""

_GRANT = tuple(
    credit_grants.c[name]
    for name in ("id", "kind", "amount_nano", "granted_at", "expires_at", "reference", "scope")
)  # fmt: skip
_INSERT_ENTRY = insert(credit_entries).inline()
_VOIDED = (
    select(-func.sum(credit_entries.c.amount_nano))
    .where(credit_entries.c.grant_id == credit_grants.c.id, credit_entries.c.kind == EntryKind.VOID.value)
    .scalar_subquery()
)
_GRANTS = (
    select(*_GRANT, func.coalesce(_VOIDED, 0).label("voided_nano"))
    .where(credit_grants.c.account_id == bindparam("account"))
    .order_by(credit_grants.c.id)
)
_ENTRIES = (
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
    .where(credit_entries.c.account_id == bindparam("account"), credit_entries.c.grant_id.is_not(None))
    .order_by(credit_entries.c.id)
)
_USED_ELSEWHERE = (
    select(credit_entries.c.usage_month, func.sum(credit_entries.c.amount_nano))
    .where(
        credit_entries.c.account_id == bindparam("account"),
        credit_entries.c.kind == EntryKind.USED_ELSEWHERE.value,
        credit_entries.c.grant_id.is_(None),
    )
    .group_by(credit_entries.c.usage_month)
)


class OverdrawnGrant(NamedTuple):
    """A grant with a negative balance, in nano-USD."""

    account_id: int
    grant_id: int
    left_nano: int


def grants_of(connection: Connection, account_id: int) -> list[CreditGrant]:
    """Return the account's grants with their voided amounts, oldest first."""
    return [_grant(row) for row in connection.execute(_GRANTS, {"account": account_id})]


def insert_grant(connection: Connection, account_id: int, grant: CreditGrant) -> int:
    """Append a grant; return its id. The caller appends the ledger entry."""
    reference = grant.reference
    if grant.kind == INCLUDED:
        period = date_of(day_of(grant.granted_at)) if grant.is_daily else format_month(month_of(grant.granted_at))
        reference = f"{INCLUDED_REFERENCE}{period}"
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
    """Append entries of recorded grants, in the given order."""
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
    """Return every entry of the account's ``grants``, in the order they were written."""
    by_id = {grant.id: grant for grant in grants}
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
        for row in connection.execute(_ENTRIES, {"account": account_id})
    ]


def last_entry_id(connection: Connection, account_id: int) -> int:
    """Return the id of the account's last entry, 0 if it has none."""
    statement = select(func.max(credit_entries.c.id)).where(credit_entries.c.account_id == account_id)
    return connection.execute(statement).scalar_one() or 0


def overdrawn_grants(connection: Connection, account_id: int | None = None) -> list[OverdrawnGrant]:
    """Return the overdrawn grants of one account, or of all."""
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
    return [OverdrawnGrant(*row) for row in connection.execute(statement)]


def accounts_with_grants(connection: Connection) -> list[int]:
    """Return the ids of all accounts with a grant, in order."""
    return list(
        connection.execute(select(credit_grants.c.account_id).distinct().order_by(credit_grants.c.account_id)).scalars()
    )


def used_elsewhere(connection: Connection, account_id: int) -> dict[int, int]:
    """Return the included credits recorded as spent on other Hugging Face compute, nano-USD by month."""
    return dict(connection.execute(_USED_ELSEWHERE, {"account": account_id}).all())


def insert_used_elsewhere(
    connection: Connection, account_id: int, month: int, amount_nano: int, *, reason: str, now: int
) -> None:
    """Record signed nano-USD of a month's included credits as spent elsewhere."""
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
    return CreditGrant(
        id=row.id,
        kind=row.kind,
        amount_nano=row.amount_nano,
        granted_at=row.granted_at,
        expires_at=row.expires_at,
        reference="" if row.kind == INCLUDED else row.reference,
        scope=row.scope,
        voided_nano=row.voided_nano,
    )

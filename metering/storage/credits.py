"""Credits that were given or bought, and what of the included ones was spent elsewhere."""

from sqlalchemy import Connection, func, insert, select

from metering.domain.credits import CreditGrant
from metering.storage.tables import credit_entries, credit_grants

USED_ELSEWHERE = "used_elsewhere"


def grants_of(connection: Connection, account_id: int) -> list[CreditGrant]:
    """Return the account's grants, oldest first."""
    statement = (
        select(
            credit_grants.c.id,
            credit_grants.c.kind,
            credit_grants.c.amount_nano,
            credit_grants.c.granted_at,
            credit_grants.c.expires_at,
            credit_grants.c.reference,
        )
        .where(credit_grants.c.account_id == account_id)
        .order_by(credit_grants.c.id)
    )
    return [CreditGrant(*row) for row in connection.execute(statement)]


def insert_grant(connection: Connection, account_id: int, grant: CreditGrant) -> int:
    """Append a grant; return its id."""
    grant_id: int = connection.execute(
        insert(credit_grants)
        .values(
            account_id=account_id,
            kind=grant.kind,
            amount_nano=grant.amount_nano,
            granted_at=grant.granted_at,
            expires_at=grant.expires_at,
            reference=grant.reference,
        )
        .returning(credit_grants.c.id)
    ).scalar_one()
    return grant_id


def used_elsewhere(connection: Connection, account_id: int) -> dict[int, int]:
    """Return, by month, how much included credit was spent on other Hugging Face compute, nano-USD."""
    statement = (
        select(credit_entries.c.billing_month, func.sum(credit_entries.c.amount_nano))
        .where(credit_entries.c.account_id == account_id, credit_entries.c.kind == USED_ELSEWHERE)
        .group_by(credit_entries.c.billing_month)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def insert_used_elsewhere(
    connection: Connection, account_id: int, month: int, amount_nano: int, *, reason: str, now: int
) -> None:
    """Append a movement: signed nano-USD of a month's included credit that was spent elsewhere."""
    connection.execute(
        insert(credit_entries).values(
            account_id=account_id,
            kind=USED_ELSEWHERE,
            amount_nano=amount_nano,
            billing_month=month,
            reason=reason,
            recorded_at=now,
        )
    )

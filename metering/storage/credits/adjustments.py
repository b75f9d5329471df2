"""Adjustments: amounts without an event, appended once per reference."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from metering.domain.credits.adjustments import Adjustment
from metering.storage.tables import adjustments

_COLUMNS = tuple(
    adjustments.c[name]
    for name in ("billing_month", "origin_month", "amount_nano", "reason", "reference", "id", "recorded_at", "adjusts")
)  # fmt: skip
_LATER = (
    select(*_COLUMNS)
    .where(adjustments.c.account_id == bindparam("account"), adjustments.c.id > bindparam("after"))
    .order_by(adjustments.c.id)
)


def adjustments_of(connection: Connection, account_id: int, *, after: int = 0, limit: int | None = None) -> list[Adjustment]:
    """Return the account's adjustments with an id above ``after``, in the order they were recorded."""
    statement = _LATER if limit is None else _LATER.limit(limit)
    rows = connection.execute(statement, {"account": account_id, "after": after})
    return [Adjustment(**row) for row in rows.mappings()]


def first_adjusted_months(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the billing month of each account's first adjustment."""
    statement = (
        select(adjustments.c.account_id, func.min(adjustments.c.billing_month))
        .where(adjustments.c.account_id.in_(account_ids))
        .group_by(adjustments.c.account_id)
    )
    return dict(connection.execute(statement).all())


def last_adjustments_recorded_at(connection: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return when the last adjustment of each account was recorded (microseconds UTC)."""
    statement = (
        select(adjustments.c.account_id, func.max(adjustments.c.recorded_at))
        .where(adjustments.c.account_id.in_(account_ids))
        .group_by(adjustments.c.account_id)
    )
    return dict(connection.execute(statement).all())


def insert_adjustment(connection: Connection, account_id: int, adjustment: Adjustment, *, now: int) -> int:
    """Append an adjustment; return its id."""
    adjustment_id: int = connection.execute(
        insert(adjustments)
        .values(
            account_id=account_id,
            billing_month=adjustment.billing_month,
            origin_month=adjustment.origin_month,
            amount_nano=adjustment.amount_nano,
            reason=adjustment.reason,
            reference=adjustment.reference,
            recorded_at=now,
            adjusts=adjustment.adjusts,
        )
        .returning(adjustments.c.id)
    ).scalar_one()
    return adjustment_id

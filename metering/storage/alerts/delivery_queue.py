"""The outbox as a queue: a process claims deliveries for a limited time (a lease), sends them, and records the outcome.

Claiming a delivery postpones its due time to the end of the lease. Several processes claim different deliveries (PostgreSQL
skips rows that another transaction has locked). If a process dies without recording an outcome, the delivery becomes due again
when the lease ends.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, exists, func, insert, or_, select, update

from metering.domain.alerts.webhook_deliveries import PENDING, DeliveryAttempt
from metering.storage.tables import webhook_attempts, webhook_deliveries, webhook_endpoints, webhook_messages

_D = webhook_deliveries.c
_E = webhook_endpoints.c
_M = webhook_messages.c


class QueuedDelivery(NamedTuple):
    """A claimed delivery: the encrypted URL, the message, and the number of the attempt (from 1)."""

    id: int
    endpoint_id: int
    url: str
    format: str
    message: str
    document: str
    attempt: int


class DueEndpoint(NamedTuple):
    """An endpoint with due deliveries; ``failing_since`` None: its last attempt succeeded."""

    id: int
    failing_since: int | None


class DeliveryUpdate(NamedTuple):
    """The new state of a delivery; ``due_at`` is None if it is finished."""

    id: int
    status: str
    tries: int
    due_at: int | None
    finished_at: int | None


# A delivery inserted while its endpoint was being disabled stays pending until the endpoint is enabled again.
_ENABLED = _E.disabled_at.is_(None), _E.deleted_at.is_(None)


def has_due(connection: Connection, *, now: int) -> bool:
    """Whether any delivery is due."""
    due = select(1).select_from(webhook_endpoints).where(*_ENABLED, exists().where(_D.endpoint_id == _E.id, _D.due_at <= now))
    return connection.execute(due.limit(1)).first() is not None


def due_endpoints(connection: Connection, *, now: int) -> list[DueEndpoint]:
    """Return the endpoints with due deliveries, those that have waited longest first."""
    first = select(func.min(_D.due_at)).where(_D.endpoint_id == _E.id, _D.due_at.is_not(None)).scalar_subquery()
    enabled = select(_E.id, _E.failing_since, first.label("first")).where(*_ENABLED).subquery()
    statement = select(enabled.c.id, enabled.c.failing_since).where(enabled.c.first <= now).order_by(enabled.c.first)
    return [DueEndpoint(*row) for row in connection.execute(statement)]


def choose_due(connection: Connection, endpoint_id: int, *, most: int, now: int) -> list[int]:
    """Return ids of due deliveries to an endpoint, locked until the transaction ends."""
    due = (
        select(_D.id)
        .where(_D.endpoint_id == endpoint_id, _D.due_at <= now)
        .order_by(_D.due_at, _D.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(due).scalars())


def claim_until(connection: Connection, delivery_ids: Sequence[int], *, until: int) -> None:
    """Claim locked deliveries until an instant, when they become due again."""
    connection.execute(update(webhook_deliveries).where(_D.id.in_(delivery_ids)).values(due_at=until))


def claimed_deliveries(connection: Connection, delivery_ids: Sequence[int]) -> list[QueuedDelivery]:
    """Return claimed deliveries with what is needed to send them, in the order of their ids."""
    statement = (
        select(_D.id, _D.endpoint_id, _E.url, _E.format, _M.name, _M.document, _D.tries + 1)
        .join(webhook_endpoints, _E.id == _D.endpoint_id)
        .join(webhook_messages, _M.id == _D.message_id)
        .where(_D.id.in_(delivery_ids))
        .order_by(_D.id)
    )
    return [QueuedDelivery(*row) for row in connection.execute(statement)]


def release(connection: Connection, delivery_ids: Sequence[int], *, now: int) -> None:
    """Make claimed deliveries due immediately, unless they are finished."""
    pending = _D.id.in_(delivery_ids), _D.status == PENDING
    connection.execute(update(webhook_deliveries).where(*pending).values(due_at=now))


def insert_attempts(connection: Connection, attempts: Sequence[DeliveryAttempt]) -> None:
    """Append attempts."""
    connection.execute(insert(webhook_attempts), [attempt._asdict() for attempt in attempts])


def lock_for_update(connection: Connection, delivery_ids: Collection[int], endpoint_ids: Collection[int]) -> None:
    """Lock deliveries and all pending deliveries of endpoints about to be disabled, in the order of their ids."""
    pending = _D.endpoint_id.in_(sorted(endpoint_ids)) & (_D.status == PENDING)
    affected = select(_D.id).where(or_(_D.id.in_(sorted(delivery_ids)), pending)).order_by(_D.id)
    connection.execute(affected.with_for_update(key_share=True)).all()


def update_deliveries(connection: Connection, updates: Sequence[DeliveryUpdate]) -> None:
    """Update pending deliveries, in the order of their ids. A finished delivery stays as it is."""
    statement = (
        update(webhook_deliveries)
        .where(_D.id == bindparam("which"), _D.status == PENDING)
        .values({name: bindparam(f"new_{name}") for name in DeliveryUpdate._fields if name != "id"})
    )
    rows = [{"which": each.id} | {f"new_{name}": value for name, value in each._asdict().items()} for each in updates]
    connection.execute(statement, sorted(rows, key=lambda row: row["which"]))

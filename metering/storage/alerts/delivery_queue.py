"""The outbox as a queue: who sends what takes it for a while, and tells the end.

To take a delivery is to put off when it is due. Of several processes each takes others (PostgreSQL passes over what another
transaction holds), and what a process took and never told of becomes due again by itself.
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
    """A delivery that was taken to be sent: where to (encrypted), what, and which attempt it is (from 1)."""

    id: int
    endpoint_id: int
    url: str
    format: str
    message: str
    document: str
    attempt: int


class DueEndpoint(NamedTuple):
    """An endpoint that something is due for; ``failing_since`` None: its last attempt succeeded."""

    id: int
    failing_since: int | None


class DeliveryUpdate(NamedTuple):
    """How a delivery goes on: ``due_at`` None where it is over."""

    id: int
    status: str
    tries: int
    due_at: int | None
    finished_at: int | None


# What was written while its endpoint was being disabled waits for it to be enabled again.
_ENABLED = _E.disabled_at.is_(None), _E.deleted_at.is_(None)


def has_due(connection: Connection, *, now: int) -> bool:
    """Whether there is something to send."""
    due = select(1).select_from(webhook_endpoints).where(*_ENABLED, exists().where(_D.endpoint_id == _E.id, _D.due_at <= now))
    return connection.execute(due.limit(1)).first() is not None


def due_endpoints(connection: Connection, *, now: int) -> list[DueEndpoint]:
    """Return the endpoints that something is due for; who has waited longest comes first."""
    first = select(func.min(_D.due_at)).where(_D.endpoint_id == _E.id, _D.due_at.is_not(None)).scalar_subquery()
    statement = select(_E.id, _E.failing_since, first.label("first")).where(*_ENABLED).subquery()
    found = select(statement.c.id, statement.c.failing_since).where(statement.c.first <= now).order_by(statement.c.first)
    return [DueEndpoint(*row) for row in connection.execute(found)]


def choose_due(connection: Connection, endpoint_id: int, *, most: int, now: int) -> list[int]:
    """Return ids of deliveries to an endpoint that are due, nobody else's to take until the transaction ends."""
    chosen = (
        select(_D.id)
        .where(_D.endpoint_id == endpoint_id, _D.due_at <= now)
        .order_by(_D.due_at, _D.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(chosen).scalars())


def claim_until(connection: Connection, delivery_ids: Sequence[int], *, until: int) -> None:
    """Take deliveries that were chosen until an instant: afterwards they are due again."""
    connection.execute(update(webhook_deliveries).where(_D.id.in_(delivery_ids)).values(due_at=until))


def claimed_deliveries(connection: Connection, delivery_ids: Sequence[int]) -> list[QueuedDelivery]:
    """Return what is to be sent, by id."""
    statement = (
        select(_D.id, _D.endpoint_id, _E.url, _E.format, _M.name, _M.document, _D.tries + 1)
        .join(webhook_endpoints, _E.id == _D.endpoint_id)
        .join(webhook_messages, _M.id == _D.message_id)
        .where(_D.id.in_(delivery_ids))
        .order_by(_D.id)
    )
    return [QueuedDelivery(*row) for row in connection.execute(statement)]


def release(connection: Connection, delivery_ids: Sequence[int], *, now: int) -> None:
    """Let deliveries that were taken be due at once, unless they are over by now."""
    pending = _D.id.in_(delivery_ids), _D.status == PENDING
    connection.execute(update(webhook_deliveries).where(*pending).values(due_at=now))


def insert_attempts(connection: Connection, attempts: Sequence[DeliveryAttempt]) -> None:
    """Append attempts."""
    connection.execute(insert(webhook_attempts), [attempt._asdict() for attempt in attempts])


def lock_for_update(connection: Connection, delivery_ids: Collection[int], endpoint_ids: Collection[int]) -> None:
    """Lock deliveries, and what else is pending for endpoints that are to be disabled, in one order: that of their ids."""
    pending = _D.endpoint_id.in_(sorted(endpoint_ids)) & (_D.status == PENDING)
    concerned = select(_D.id).where(or_(_D.id.in_(sorted(delivery_ids)), pending)).order_by(_D.id)
    connection.execute(concerned.with_for_update(key_share=True)).all()


def update_deliveries(connection: Connection, ended: Sequence[DeliveryUpdate]) -> None:
    """Say how deliveries go on, in the order of their ids. One that is over meanwhile stays so."""
    statement = (
        update(webhook_deliveries)
        .where(_D.id == bindparam("which"), _D.status == PENDING)
        .values({name: bindparam(f"new_{name}") for name in DeliveryUpdate._fields[1:]})
    )
    rows = [{"which": each.id} | {f"new_{name}": value for name, value in each._asdict().items()} for each in ended]
    connection.execute(statement, sorted(rows, key=lambda row: row["which"]))

"""Messages and their deliveries: inserted with their alert, listed with their attempts, and queued again."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update

from metering.domain.alerts.webhook_deliveries import HELD, PENDING, Delivery, DeliveryAttempt, DeliveryQuery
from metering.storage.tables import webhook_attempts, webhook_deliveries, webhook_messages

_D = webhook_deliveries.c
_M = webhook_messages.c
_A = webhook_attempts.c
_IDS_PER_STATEMENT = 500
_OF_MESSAGE = _D.message_id == _M.id
_DELIVERIES: Select[Any] = select(
    _D.id,
    _D.endpoint_id,
    _M.name,
    _M.type,
    _M.alert_id,
    _D.status,
    _D.tries,
    _D.due_at,
    _D.created_at,
    _D.finished_at,
).join(webhook_messages, _OF_MESSAGE)


class NewMessage(NamedTuple):
    """A message to send; ``alert_id`` None: a test. ``name`` is the webhook-id."""

    name: str
    alert_id: int | None
    type: str
    document: str


def insert_message(connection: Connection, message: NewMessage, *, now: int) -> int:
    """Insert a message; return its id."""
    statement = insert(webhook_messages).values(**message._asdict(), created_at=now).returning(_M.id)
    message_id: int = connection.execute(statement).scalar_one()
    return message_id


def insert_deliveries(connection: Connection, message_id: int, endpoint_ids: Iterable[int], *, due_at: int, now: int) -> None:
    """Insert deliveries of a message to endpoints, due at ``due_at``."""
    common = {"message_id": message_id, "status": PENDING, "tries": 0, "due_at": due_at, "created_at": now, "finished_at": None}
    _insert(connection, [{**common, "endpoint_id": endpoint_id} for endpoint_id in endpoint_ids])


def insert_held(connection: Connection, message_id: int, endpoint_ids: Iterable[int], *, now: int) -> None:
    """Insert held deliveries of a message to disabled endpoints; they are sent only if redelivered."""
    common = {"message_id": message_id, "status": HELD, "tries": 0, "due_at": None, "created_at": now, "finished_at": now}
    _insert(connection, [{**common, "endpoint_id": endpoint_id} for endpoint_id in endpoint_ids])


def list_deliveries(connection: Connection, query: DeliveryQuery, *, before: int | None, limit: int) -> list[Delivery]:
    """Return deliveries with ids below ``before`` (None: all), newest first."""
    statement = _filtered(_DELIVERIES, query).order_by(_D.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_D.id < before)
    return [Delivery(*row) for row in connection.execute(statement)]


def delivery_with_id(connection: Connection, delivery_id: int) -> Delivery | None:
    """Return a delivery; None if it does not exist."""
    row = connection.execute(_DELIVERIES.where(_D.id == delivery_id)).one_or_none()
    return None if row is None else Delivery(*row)


def delivery_of(connection: Connection, message_id: int, endpoint_id: int) -> Delivery:
    """Return the delivery of a message to an endpoint."""
    statement = _DELIVERIES.where(_D.message_id == message_id, _D.endpoint_id == endpoint_id)
    return Delivery(*connection.execute(statement).one())


def attempts_of(connection: Connection, delivery_ids: Collection[int]) -> dict[int, list[DeliveryAttempt]]:
    """Return the attempts of deliveries, by delivery, oldest first."""
    columns = [_A[name] for name in DeliveryAttempt._fields]
    statement = select(*columns).where(_A.delivery_id.in_(sorted(delivery_ids))).order_by(_A.id)
    by_delivery: dict[int, list[DeliveryAttempt]] = {}
    for row in connection.execute(statement):
        by_delivery.setdefault(row.delivery_id, []).append(DeliveryAttempt(*row))
    return by_delivery


def count_by_status(connection: Connection, endpoint_id: int) -> dict[str, int]:
    """Return the number of an endpoint's deliveries in each status."""
    status = _D.status
    statement = select(status, func.count().label("deliveries")).where(_D.endpoint_id == endpoint_id).group_by(status)
    return {row.status: row.deliveries for row in connection.execute(statement)}


def lock_deliveries(connection: Connection, query: DeliveryQuery, *, limit: int | None = None) -> list[int]:
    """Lock deliveries until the transaction ends; return their ids, oldest first.

    Lock order: the endpoint first, then deliveries in the order of their ids. This prevents deadlocks.
    """
    statement = _filtered(select(_D.id).join(webhook_messages, _OF_MESSAGE), query)
    locked = statement.order_by(_D.id).limit(limit).with_for_update(of=webhook_deliveries, key_share=True)
    return list(connection.execute(locked).scalars())


def requeue(connection: Connection, delivery_ids: Collection[int], *, now: int) -> None:
    """Queue deliveries again, due now and starting over at their first attempt."""
    values = {"status": PENDING, "tries": 0, "due_at": now, "finished_at": None}
    _update(connection, list(delivery_ids), values)


def end_deliveries(connection: Connection, endpoint_id: int, statuses: Collection[str], status: str, *, now: int) -> None:
    """Finish an endpoint's deliveries that have one of ``statuses``: they get ``status`` and are no longer due."""
    ids = lock_deliveries(connection, DeliveryQuery(endpoint_id, statuses))
    _update(connection, ids, {"status": status, "due_at": None, "finished_at": now})


def _filtered(statement: Select[Any], query: DeliveryQuery) -> Select[Any]:
    statement = statement.where(_D.endpoint_id == query.endpoint_id)
    if query.statuses:
        statement = statement.where(_D.status.in_(sorted(query.statuses)))
    if query.type is not None:
        statement = statement.where(_M.type == query.type)
    if query.start is not None:
        statement = statement.where(_D.created_at >= query.start)
    if query.end is not None:
        statement = statement.where(_D.created_at < query.end)
    return statement


def _insert(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(insert(webhook_deliveries), rows)


def _update(connection: Connection, ids: list[int], values: dict[str, Any]) -> None:
    for start in range(0, len(ids), _IDS_PER_STATEMENT):
        batch = _D.id.in_(ids[start : start + _IDS_PER_STATEMENT])
        connection.execute(update(webhook_deliveries).where(batch).values(**values))

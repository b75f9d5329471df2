"""Deliveries: written beside their alert, listed with what came of them, and asked for once more."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select, update

from metering.domain.alerts.webhook_deliveries import HELD, PENDING, Delivery, DeliveryAttempt, DeliveryQuery
from metering.storage.tables import webhook_attempts, webhook_deliveries, webhook_messages

_OF_DELIVERY = webhook_deliveries.c
_OF_MESSAGE = webhook_messages.c
_OF_ATTEMPT = webhook_attempts.c
_AT_ONCE = 500  # parameters of a statement
_MESSAGE = _OF_DELIVERY.message_id == _OF_MESSAGE.id
_DELIVERIES: Select[Any] = select(
    _OF_DELIVERY.id,
    _OF_DELIVERY.endpoint_id,
    _OF_MESSAGE.name,
    _OF_MESSAGE.type,
    _OF_MESSAGE.alert_id,
    _OF_DELIVERY.status,
    _OF_DELIVERY.tries,
    _OF_DELIVERY.due_at,
    _OF_DELIVERY.created_at,
    _OF_DELIVERY.finished_at,
).join(webhook_messages, _MESSAGE)


class NewMessage(NamedTuple):
    """A message to be sent; ``alert_id`` None: a test."""

    name: str
    alert_id: int | None
    type: str
    document: str


def insert_message(connection: Connection, message: NewMessage, *, now: int) -> int:
    """Append a message; return its id."""
    statement = insert(webhook_messages).values(**message._asdict(), created_at=now).returning(_OF_MESSAGE.id)
    message_id: int = connection.execute(statement).scalar_one()
    return message_id


def insert_deliveries(connection: Connection, message_id: int, endpoint_ids: Iterable[int], *, due_at: int, now: int) -> None:
    """Write that a message is to be sent to endpoints from ``due_at`` on."""
    common = {"message_id": message_id, "status": PENDING, "tries": 0, "due_at": due_at, "created_at": now, "finished_at": None}
    _insert(connection, [{**common, "endpoint_id": endpoint_id} for endpoint_id in endpoint_ids])


def insert_held(connection: Connection, message_id: int, endpoint_ids: Iterable[int], *, now: int) -> None:
    """Write that a message is kept for endpoints that are disabled, until somebody asks for it."""
    common = {"message_id": message_id, "status": HELD, "tries": 0, "due_at": None, "created_at": now, "finished_at": now}
    _insert(connection, [{**common, "endpoint_id": endpoint_id} for endpoint_id in endpoint_ids])


def list_deliveries(connection: Connection, question: DeliveryQuery, *, before: int | None, limit: int) -> list[Delivery]:
    """Return deliveries with ids below ``before`` (None: all), the newest first."""
    statement = _asked(_DELIVERIES, question).order_by(_OF_DELIVERY.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_OF_DELIVERY.id < before)
    return [Delivery(*row) for row in connection.execute(statement)]


def delivery_with_id(connection: Connection, delivery_id: int) -> Delivery | None:
    """Return a delivery; None where there is none."""
    row = connection.execute(_DELIVERIES.where(_OF_DELIVERY.id == delivery_id)).one_or_none()
    return None if row is None else Delivery(*row)


def delivery_of(connection: Connection, message_id: int, endpoint_id: int) -> Delivery:
    """Return the delivery of a message to an endpoint."""
    found = _DELIVERIES.where(_OF_DELIVERY.message_id == message_id, _OF_DELIVERY.endpoint_id == endpoint_id)
    return Delivery(*connection.execute(found).one())


def attempts_of(connection: Connection, delivery_ids: Collection[int]) -> dict[int, list[DeliveryAttempt]]:
    """Return the attempts of deliveries, by delivery, the oldest first."""
    columns = [_OF_ATTEMPT[name] for name in DeliveryAttempt._fields]
    statement = select(*columns).where(_OF_ATTEMPT.delivery_id.in_(sorted(delivery_ids))).order_by(_OF_ATTEMPT.id)
    found: dict[int, list[DeliveryAttempt]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.delivery_id, []).append(DeliveryAttempt(*row))
    return found


def count_by_status(connection: Connection, endpoint_id: int) -> dict[str, int]:
    """Return how many deliveries an endpoint has of each status."""
    status = _OF_DELIVERY.status
    statement = select(status, func.count().label("deliveries")).where(_OF_DELIVERY.endpoint_id == endpoint_id).group_by(status)
    return {row.status: row.deliveries for row in connection.execute(statement)}


def lock_deliveries(connection: Connection, question: DeliveryQuery, *, limit: int | None = None) -> list[int]:
    """Return the ids of deliveries, the oldest first, with nobody else writing them until the transaction ends.

    Taken in the order of their ids, after the endpoint: so nobody waits in a circle.
    """
    statement = _asked(select(_OF_DELIVERY.id).join(webhook_messages, _MESSAGE), question)
    locked = statement.order_by(_OF_DELIVERY.id).limit(limit).with_for_update(of=webhook_deliveries, key_share=True)
    return list(connection.execute(locked).scalars())


def requeue(connection: Connection, delivery_ids: Collection[int], *, now: int) -> None:
    """Let deliveries be sent again from now on, from their first attempt."""
    values = {"status": PENDING, "tries": 0, "due_at": now, "finished_at": None}
    _update(connection, list(delivery_ids), values)


def end_deliveries(connection: Connection, endpoint_id: int, statuses: Collection[str], status: str, *, now: int) -> None:
    """Give an endpoint's deliveries of some statuses another one, in which they are not sent."""
    ids = lock_deliveries(connection, DeliveryQuery(endpoint_id, statuses))
    _update(connection, ids, {"status": status, "due_at": None, "finished_at": now})


def _asked(statement: Select[Any], question: DeliveryQuery) -> Select[Any]:
    statement = statement.where(_OF_DELIVERY.endpoint_id == question.endpoint_id)
    if question.statuses:
        statement = statement.where(_OF_DELIVERY.status.in_(sorted(question.statuses)))
    if question.type is not None:
        statement = statement.where(_OF_MESSAGE.type == question.type)
    if question.start is not None:
        statement = statement.where(_OF_DELIVERY.created_at >= question.start)
    if question.end is not None:
        statement = statement.where(_OF_DELIVERY.created_at < question.end)
    return statement


def _insert(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        connection.execute(insert(webhook_deliveries), rows)


def _update(connection: Connection, ids: list[int], values: dict[str, Any]) -> None:
    for start in range(0, len(ids), _AT_ONCE):
        some = _OF_DELIVERY.id.in_(ids[start : start + _AT_ONCE])
        connection.execute(update(webhook_deliveries).where(some).values(**values))

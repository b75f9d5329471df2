"""Deliveries of messages to webhook endpoints, and every attempt to send them."""

from collections.abc import Collection
from typing import NamedTuple

from msgspec import Struct

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
HELD = "held"
CANCELLED = "cancelled"
STATUSES = (PENDING, DELIVERED, FAILED, HELD, CANCELLED)
# Deliveries that can be sent again; pending ones are sent anyway.
REDELIVERABLE = (DELIVERED, FAILED, HELD)


class Delivery(NamedTuple):
    """A message on its way to one endpoint. Times are microseconds UTC; ``message`` is the webhook-id.

    ``alert_id`` is None for a test. ``tries`` counts attempts since the delivery was last queued; ``due_at`` is None unless it
    is pending.
    """

    id: int
    endpoint_id: int
    message: str
    type: str
    alert_id: int | None
    status: str
    tries: int
    due_at: int | None
    created_at: int
    finished_at: int | None


class DeliveryAttempt(NamedTuple):
    """A recorded attempt. ``status_code`` is None if there was no response; ``error_code`` is empty on success.

    ``answer`` is the start of the response.
    """

    delivery_id: int
    started_at: int
    latency_ms: int
    status_code: int | None
    error_code: str
    error_message: str
    answer: str


class DeliveryQuery(NamedTuple):
    """Selects deliveries of one endpoint, created from ``start`` up to, not including, ``end``. Empty or None: any."""

    endpoint_id: int
    statuses: Collection[str] = ()
    type: str | None = None
    start: int | None = None
    end: int | None = None


class DeliveryLog(NamedTuple):
    """A delivery and its attempts, oldest first."""

    delivery: Delivery
    attempts: list[DeliveryAttempt]


class RedeliveryResult(Struct, frozen=True):
    """How many deliveries were queued again, and whether more deliveries match."""

    deliveries: int
    more: bool

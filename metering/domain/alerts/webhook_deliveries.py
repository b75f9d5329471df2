"""Deliveries of alerts to webhook endpoints, and every attempt to send them."""

from collections.abc import Collection
from typing import NamedTuple

from msgspec import Struct

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
HELD = "held"
CANCELLED = "cancelled"
STATUSES = (PENDING, DELIVERED, FAILED, HELD, CANCELLED)
# What can be sent again; what is pending is sent anyway.
FINISHED = (DELIVERED, FAILED, HELD)


class Delivery(NamedTuple):
    """A delivery and its message; times in microseconds UTC. ``message`` is the webhook-id."""

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
    """One attempt. ``status_code`` None: no answer; ``error_code`` empty: success."""

    delivery_id: int
    started_at: int
    latency_ms: int
    status_code: int | None
    error_code: str
    error_message: str
    answer: str


class DeliveryQuery(NamedTuple):
    """Which deliveries are asked for; of one endpoint, the newest first. Periods are half-open, by when they were written."""

    endpoint_id: int
    statuses: Collection[str] = ()
    type: str | None = None
    start: int | None = None
    end: int | None = None


class DeliveryLog(NamedTuple):
    """A delivery and its attempts, the oldest first."""

    row: Delivery
    attempts: list[DeliveryAttempt]


class RedeliveryResult(Struct, frozen=True):
    """How many deliveries are sent again, and whether there are more that were asked for."""

    deliveries: int
    more: bool

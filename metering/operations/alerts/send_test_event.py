"""Send an endpoint a test, whatever alerts it asks for: is it there, and does it take our signature?"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine

from metering.domain.alerts.alert_types import WEBHOOK_TEST
from metering.domain.alerts.webhook_deliveries import Delivery, DeliveryLog
from metering.domain.alerts.webhook_messages import AlertContent, message_of
from metering.domain.alerts.webhook_signatures import new_message_id
from metering.domain.alerts.webhooks import WebhookDisabledError
from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.dispatch_deliveries import claim_one, record_attempts
from metering.operations.alerts.manage_webhooks import require_endpoint
from metering.operations.alerts.send_delivery import send_delivery
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.outbound.post import PostLimits, open_poster
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.webhook_deliveries import (
    NewMessage,
    attempts_of,
    delivery_of,
    delivery_with_id,
    insert_deliveries,
    insert_message,
)
from metering.storage.alerts.webhook_endpoints import endpoint_with_id
from metering.storage.engine.commit_signal import mark_deliveries_written
from metering.storage.engine.database import concurrent_write, read_snapshot

_PUT_OFF = 60 * MICROS_PER_SECOND
_NO_CHANCE = 0.5


class Sending(NamedTuple):
    """How a test is sent by the process that asks for it."""

    settings: WebhookSettings
    clock: Callable[[], int]
    limits: PostLimits = PostLimits()


def request_test(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> Delivery:
    """Write a test to be sent by whoever dispatches. Raises NotFoundError, WebhookDisabledError."""
    return _write(engine, endpoint_id, owner=owner, due_at=now, now=now)


def send_test(engine: Engine, endpoint_id: int, sending: Sending, *, owner: int | None = None) -> DeliveryLog:
    """Send a test from this process and return what came of it; where it failed it is tried again like any delivery."""
    now = sending.clock()
    row = _write(engine, endpoint_id, owner=owner, due_at=now + _PUT_OFF, now=now)
    delivery = claim_one(engine, sending.settings.secret_keys, row.id, now=now)

    async def send() -> None:
        async with open_poster() as client:
            attempt = await send_delivery(
                client,
                delivery,
                guard=sending.settings.guard,
                limits=sending.limits,
                clock=sending.clock,
                chance=_NO_CHANCE,
            )
        record_attempts(engine, [attempt])

    asyncio.run(send())
    with read_snapshot(engine) as connection:
        return DeliveryLog(delivery_with_id(connection, row.id) or row, attempts_of(connection, [row.id])[row.id])


def _write(engine: Engine, endpoint_id: int, *, owner: int | None, due_at: int, now: int) -> Delivery:
    with concurrent_write(engine) as connection:
        endpoint = require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner)
        if endpoint.disabled_at is not None:
            raise WebhookDisabledError(f"the webhook endpoint {endpoint_id} is disabled; enable it first")
        own = None if endpoint.filter.account_id is None else account_with_id(connection, endpoint.filter.account_id)
        told = AlertContent(WEBHOOK_TEST, now, None if own is None else own.name, f"webhook:{endpoint_id}", "", 0, {})
        message_id = insert_message(connection, NewMessage(new_message_id(), None, told.type, message_of(told)), now=now)
        insert_deliveries(connection, message_id, [endpoint_id], due_at=due_at, now=now)
        mark_deliveries_written(connection)
        return delivery_of(connection, message_id, endpoint_id)

"""Send an endpoint a test message, whatever alerts it receives: is it reachable, and does it accept our signature?"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine

from metering.domain.alerts.alert_types import WEBHOOK_TEST
from metering.domain.alerts.webhook_deliveries import Delivery, DeliveryLog
from metering.domain.alerts.webhook_messages import AlertContent, message_of
from metering.domain.alerts.webhook_signatures import new_message_id
from metering.domain.instants import MICROS_PER_SECOND
from metering.operations.alerts.dispatch_deliveries import claim_one, record_attempts
from metering.operations.alerts.manage_webhooks import require_enabled, require_endpoint
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

# A test that this process sends itself is due later for the dispatcher, which takes over if this process dies.
_LEASE = 60 * MICROS_PER_SECOND
_NO_JITTER = 0.5


class SendSettings(NamedTuple):
    """What a process needs to send a test itself."""

    settings: WebhookSettings
    clock: Callable[[], int]
    limits: PostLimits = PostLimits()


def request_test(engine: Engine, endpoint_id: int, *, owner: int | None = None, now: int) -> DeliveryLog:
    """Queue a test for the dispatcher. Raises NotFoundError and WebhookDisabledError."""
    return DeliveryLog(_insert_test(engine, endpoint_id, owner=owner, due_at=now, now=now), [])


def send_test(engine: Engine, endpoint_id: int, sender: SendSettings, *, owner: int | None = None) -> DeliveryLog:
    """Send a test from this process and return its outcome. If it fails, it is retried like any delivery."""
    now = sender.clock()
    delivery = _insert_test(engine, endpoint_id, owner=owner, due_at=now + _LEASE, now=now)
    claimed = claim_one(engine, sender.settings.secret_keys, delivery.id, now=now)

    async def send() -> None:
        async with open_poster() as client:
            attempt = await send_delivery(
                client,
                claimed,
                guard=sender.settings.guard,
                limits=sender.limits,
                clock=sender.clock,
                chance=_NO_JITTER,
            )
        record_attempts(engine, [attempt])

    asyncio.run(send())
    with read_snapshot(engine) as connection:
        attempts = attempts_of(connection, [delivery.id])[delivery.id]
        return DeliveryLog(delivery_with_id(connection, delivery.id) or delivery, attempts)


def _insert_test(engine: Engine, endpoint_id: int, *, owner: int | None, due_at: int, now: int) -> Delivery:
    with concurrent_write(engine) as connection:
        endpoint = require_enabled(require_endpoint(endpoint_with_id(connection, endpoint_id), endpoint_id, owner))
        account = None if endpoint.filter.account_id is None else account_with_id(connection, endpoint.filter.account_id)
        name = None if account is None else account.name
        content = AlertContent(WEBHOOK_TEST, now, name, f"webhook:{endpoint_id}", "", 0, {})
        message = NewMessage(new_message_id(), None, content.type, message_of(content))
        message_id = insert_message(connection, message, now=now)
        insert_deliveries(connection, message_id, [endpoint_id], due_at=due_at, now=now)
        mark_deliveries_written(connection)
        return delivery_of(connection, message_id, endpoint_id)

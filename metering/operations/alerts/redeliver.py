"""Queue deliveries again: the same message with the same ``webhook-id``, starting over at its first attempt.

A receiver that remembers the ids it has handled processes no message twice. The delivery keeps its log of attempts.
"""

from sqlalchemy import Engine

from metering.domain.alerts.webhook_deliveries import FAILED, HELD, REDELIVERABLE, DeliveryQuery, RedeliveryResult
from metering.domain.alerts.webhooks import WebhookError
from metering.domain.errors import NotFoundError
from metering.operations.alerts.manage_webhooks import require_enabled, require_endpoint
from metering.storage.alerts.webhook_deliveries import delivery_with_id, lock_deliveries, requeue
from metering.storage.alerts.webhook_endpoints import lock_endpoint
from metering.storage.engine.commit_signal import mark_deliveries_written
from metering.storage.engine.database import concurrent_write

# Per transaction; the result tells the caller that more deliveries match.
MOST_AT_ONCE = 10_000
NOT_DELIVERED = (FAILED, HELD)


def redeliver_one(
    engine: Engine, endpoint_id: int, delivery_id: int, *, owner: int | None = None, now: int
) -> RedeliveryResult:
    """Queue one delivery again, whatever its status. Raises NotFoundError and WebhookDisabledError."""
    with concurrent_write(engine) as connection:
        require_enabled(require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner))
        delivery = delivery_with_id(connection, delivery_id)
        if delivery is None or delivery.endpoint_id != endpoint_id:
            raise NotFoundError(
                f"the webhook endpoint {endpoint_id} has no delivery {delivery_id}; `metering webhooks deliveries"
                f" {endpoint_id}` lists them"
            )
        requeue(connection, [delivery_id], now=now)
        mark_deliveries_written(connection)
    return RedeliveryResult(1, more=False)


def redeliver(engine: Engine, query: DeliveryQuery, *, owner: int | None = None, now: int) -> RedeliveryResult:
    """Queue matching deliveries again, oldest first. Default statuses: failed and held.

    Raises NotFoundError, WebhookDisabledError, and WebhookError for a status that cannot be sent again.
    """
    wrong = [status for status in query.statuses if status not in REDELIVERABLE]
    if wrong:
        raise WebhookError(f"only deliveries that are {', '.join(REDELIVERABLE)} can be sent again; got {wrong[0][:40]!r}")
    query = query if query.statuses else query._replace(statuses=NOT_DELIVERED)
    with concurrent_write(engine) as connection:
        require_enabled(require_endpoint(lock_endpoint(connection, query.endpoint_id), query.endpoint_id, owner))
        ids = lock_deliveries(connection, query, limit=MOST_AT_ONCE + 1)
        requeue(connection, ids[:MOST_AT_ONCE], now=now)
        mark_deliveries_written(connection)
    return RedeliveryResult(len(ids[:MOST_AT_ONCE]), more=len(ids) > MOST_AT_ONCE)

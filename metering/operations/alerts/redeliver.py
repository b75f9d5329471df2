"""Send again what was sent, given up or held: the same message with the same ``webhook-id``, from its first attempt.

A receiver that keeps the ids it has handled takes nothing twice. It is the same delivery, and its log goes on.
"""

from sqlalchemy import Engine

from metering.domain.alerts.webhook_deliveries import FAILED, FINISHED, HELD, DeliveryQuery, RedeliveryResult
from metering.domain.alerts.webhooks import Endpoint, WebhookDisabledError, WebhookError
from metering.domain.errors import NotFoundError
from metering.operations.alerts.manage_webhooks import require_endpoint
from metering.storage.alerts.webhook_deliveries import delivery_with_id, lock_deliveries, requeue
from metering.storage.alerts.webhook_endpoints import lock_endpoint
from metering.storage.engine.commit_signal import mark_deliveries_written
from metering.storage.engine.database import concurrent_write

# In one transaction; whoever has more asks again.
MOST_AT_ONCE = 10_000
LOST = (FAILED, HELD)


def redeliver_one(
    engine: Engine, endpoint_id: int, delivery_id: int, *, owner: int | None = None, now: int
) -> RedeliveryResult:
    """Send one delivery again, whatever became of it. Raises NotFoundError, WebhookDisabledError."""
    with concurrent_write(engine) as connection:
        _check_enabled(require_endpoint(lock_endpoint(connection, endpoint_id), endpoint_id, owner))
        row = delivery_with_id(connection, delivery_id)
        if row is None or row.endpoint_id != endpoint_id:
            raise NotFoundError(f"the webhook endpoint {endpoint_id} has no delivery {delivery_id}")
        requeue(connection, [delivery_id], now=now)
        mark_deliveries_written(connection)
    return RedeliveryResult(1, more=False)


def redeliver(engine: Engine, question: DeliveryQuery, *, owner: int | None = None, now: int) -> RedeliveryResult:
    """Send again what is asked for, the oldest first; without statuses what has failed or was held.

    Raises NotFoundError, WebhookDisabledError, WebhookError for a status that is none or is sent anyway.
    """
    wrong = [status for status in question.statuses if status not in FINISHED]
    if wrong:
        raise WebhookError(f"what is {', '.join(FINISHED)} can be sent again; got {wrong[0][:40]!r}")
    asked = question if question.statuses else question._replace(statuses=LOST)
    with concurrent_write(engine) as connection:
        _check_enabled(require_endpoint(lock_endpoint(connection, asked.endpoint_id), asked.endpoint_id, owner))
        ids = lock_deliveries(connection, asked, limit=MOST_AT_ONCE + 1)
        requeue(connection, ids[:MOST_AT_ONCE], now=now)
        mark_deliveries_written(connection)
    return RedeliveryResult(len(ids[:MOST_AT_ONCE]), more=len(ids) > MOST_AT_ONCE)


def _check_enabled(endpoint: Endpoint) -> None:
    if endpoint.disabled_at is not None:
        raise WebhookDisabledError(f"the webhook endpoint {endpoint.id} is disabled; enable it first")

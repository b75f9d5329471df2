"""What was, and is to be, sent to an endpoint, with every attempt."""

from collections.abc import Collection

from sqlalchemy import Engine

from metering.domain.alerts.webhook_deliveries import STATUSES, DeliveryLog, DeliveryQuery
from metering.domain.alerts.webhooks import WebhookError
from metering.operations.alerts.manage_webhooks import require_endpoint
from metering.storage.alerts.webhook_deliveries import attempts_of
from metering.storage.alerts.webhook_deliveries import list_deliveries as stored_deliveries
from metering.storage.alerts.webhook_endpoints import endpoint_with_id
from metering.storage.engine.database import read_snapshot


def list_deliveries(
    engine: Engine, question: DeliveryQuery, *, owner: int | None = None, before: int | None = None, limit: int
) -> list[DeliveryLog]:
    """Return deliveries with ids below ``before``, the newest first. Raises NotFoundError for the endpoint."""
    check_statuses(question.statuses)
    with read_snapshot(engine) as connection:
        require_endpoint(endpoint_with_id(connection, question.endpoint_id), question.endpoint_id, owner)
        rows = stored_deliveries(connection, question, before=before, limit=limit)
        attempts = attempts_of(connection, [row.id for row in rows])
    return [DeliveryLog(row, attempts.get(row.id, [])) for row in rows]


def check_statuses(statuses: Collection[str]) -> None:
    """Raise WebhookError for a status that no delivery has."""
    for status in statuses:
        if status not in STATUSES:
            raise WebhookError(f"a delivery is {', '.join(STATUSES)}; got {status[:40]!r}")

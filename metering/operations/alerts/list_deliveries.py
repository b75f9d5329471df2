"""List the deliveries to an endpoint with every attempt."""

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
    engine: Engine, query: DeliveryQuery, *, owner: int | None = None, before: int | None = None, limit: int
) -> list[DeliveryLog]:
    """Return deliveries with ids below ``before``, newest first. Raises NotFoundError for the endpoint."""
    check_statuses(query.statuses)
    with read_snapshot(engine) as connection:
        require_endpoint(endpoint_with_id(connection, query.endpoint_id), query.endpoint_id, owner)
        deliveries = stored_deliveries(connection, query, before=before, limit=limit)
        attempts = attempts_of(connection, [each.id for each in deliveries])
    return [DeliveryLog(each, attempts.get(each.id, [])) for each in deliveries]


def check_statuses(statuses: Collection[str]) -> None:
    """Raise WebhookError for an unknown status."""
    for status in statuses:
        if status not in STATUSES:
            raise WebhookError(f"a delivery status is one of {', '.join(STATUSES)}; got {status[:40]!r}")

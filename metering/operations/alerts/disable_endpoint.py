"""Disable an endpoint: it is sent nothing, its pending deliveries are held, and other endpoints are alerted."""

import json

from sqlalchemy import Connection

from metering.domain.alerts.alert_types import WEBHOOK_DISABLED
from metering.domain.alerts.webhook_deliveries import HELD, PENDING
from metering.domain.alerts.webhooks import ASKED, Endpoint
from metering.domain.instants import format_instant
from metering.operations.steps.raise_alert import raise_alert
from metering.storage.alerts.alerts import NewAlert
from metering.storage.alerts.webhook_deliveries import end_deliveries
from metering.storage.alerts.webhook_endpoints import update_endpoint


def disable_endpoint(connection: Connection, endpoint: Endpoint, reason: str, *, now: int) -> None:
    """Disable an endpoint whose row this transaction has locked.

    Raises an alert, which goes to other endpoints, unless the endpoint is disabled on request.
    """
    update_endpoint(connection, endpoint.id, {"disabled_at": now, "disabled_reason": reason})
    end_deliveries(connection, endpoint.id, [PENDING], HELD, now=now)
    if reason == ASKED:
        return
    data = {
        "endpoint_id": endpoint.id,
        "reason": reason,
        "failing_since": None if endpoint.failing_since is None else format_instant(endpoint.failing_since),
        "disabled_at": format_instant(now),
    }
    alert = NewAlert(
        WEBHOOK_DISABLED,
        f"webhook:{endpoint.id}",
        now,
        json.dumps(data),
        # An endpoint can be disabled again after it was enabled: each time is an alert.
        period=format_instant(now),
        account_id=endpoint.filter.account_id,
    )
    raise_alert(connection, alert, now=now)

"""Raise an alert in the caller's transaction, unless it was raised before.

The alert, its message and a delivery for each endpoint that receives it (the outbox) commit or roll back together. After the
commit the deliveries will be sent, whatever happens to this process.
"""

import json

from sqlalchemy import Connection

from metering.domain.alerts.webhook_messages import AlertContent, message_of
from metering.domain.alerts.webhook_signatures import new_message_id
from metering.domain.alerts.webhooks import Endpoint
from metering.storage.accounts.accounts import account_with_id
from metering.storage.alerts.alerts import NewAlert, insert_alert
from metering.storage.alerts.webhook_deliveries import NewMessage, insert_deliveries, insert_held, insert_message
from metering.storage.alerts.webhook_endpoints import endpoints_for
from metering.storage.engine.commit_signal import mark_deliveries_written


def raise_alert(connection: Connection, alert: NewAlert, *, now: int) -> bool:
    """Raise an alert unless one with the same type, subject, period and threshold exists; return whether it is new."""
    alert_id = insert_alert(connection, alert, now=now)
    if alert_id is None:
        return False
    receivers = [
        each for each in endpoints_for(connection, alert.account_id) if each.filter.matches(alert.type, alert.account_id)
    ]
    if receivers:
        _insert_deliveries(connection, alert, alert_id, receivers, now=now)
    return True


def _insert_deliveries(connection: Connection, alert: NewAlert, alert_id: int, receivers: list[Endpoint], *, now: int) -> None:
    account = None if alert.account_id is None else account_with_id(connection, alert.account_id)
    content = AlertContent(
        type=alert.type,
        occurred_at=alert.occurred_at,
        account=None if account is None else account.name,
        subject=alert.subject,
        period=alert.period,
        threshold=alert.threshold,
        details=json.loads(alert.data),
        alert_id=alert_id,
    )
    message = NewMessage(new_message_id(), alert_id, content.type, message_of(content))
    message_id = insert_message(connection, message, now=now)
    enabled = [endpoint.id for endpoint in receivers if endpoint.disabled_at is None]
    insert_deliveries(connection, message_id, enabled, due_at=now, now=now)
    # Kept for disabled endpoints: once enabled, they can be sent what they missed.
    insert_held(connection, message_id, [endpoint.id for endpoint in receivers if endpoint.disabled_at is not None], now=now)
    if enabled:
        mark_deliveries_written(connection)

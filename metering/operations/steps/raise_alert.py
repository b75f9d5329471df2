"""Raise an alert in the caller's transaction, unless it was raised before: what it is about and that it is said, or neither.

With the alert go a message and a delivery for each endpoint that asks for it (the outbox). Whatever becomes of the process
after the commit, the deliveries are there to be sent; after a rollback neither they nor the alert are.
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
    """Raise an alert unless the same type, subject, period and threshold was raised before; return whether it is new."""
    alert_id = insert_alert(connection, alert, now=now)
    if alert_id is None:
        return False
    concerned = [
        each for each in endpoints_for(connection, alert.account_id) if each.filter.takes(alert.type, alert.account_id)
    ]
    if concerned:
        _write_deliveries(connection, alert, alert_id, concerned, now=now)
    return True


def _write_deliveries(connection: Connection, alert: NewAlert, alert_id: int, concerned: list[Endpoint], *, now: int) -> None:
    account = None if alert.account_id is None else account_with_id(connection, alert.account_id)
    told = AlertContent(
        type=alert.type,
        occurred_at=alert.occurred_at,
        account=None if account is None else account.name,
        subject=alert.subject,
        period=alert.period,
        threshold=alert.threshold,
        details=json.loads(alert.data),
        alert_id=alert_id,
    )
    message = NewMessage(new_message_id(), alert_id, told.type, message_of(told))
    message_id = insert_message(connection, message, now=now)
    enabled = [endpoint.id for endpoint in concerned if endpoint.disabled_at is None]
    insert_deliveries(connection, message_id, enabled, due_at=now, now=now)
    # An endpoint that comes back can be sent what it missed.
    insert_held(connection, message_id, [endpoint.id for endpoint in concerned if endpoint.disabled_at is not None], now=now)
    if enabled:
        mark_deliveries_written(connection)

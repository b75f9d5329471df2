"""Builders for tests of webhooks: settings that let loopback pass and ask no name service, and alerts."""

import json

from metering.operations.webhook_settings import WebhookSettings
from metering.outbound.addresses import AddressGuard
from metering.storage.alerts import NewAlert

SECRET_KEY = "c29tZS1rZXktdGhhdC1vbmx5LXRlc3RzLWtub3ctMTI="
PUBLIC = "93.184.215.14"


def webhook_settings(*keys: str, **names: str | list[str]) -> WebhookSettings:
    """Return settings in which receivers on loopback are reached, and names (dots for underscores) resolve as said; others do
    to a public address.
    """
    told = {name.replace("_", "."): [found] if isinstance(found, str) else found for name, found in names.items()}
    guard = AddressGuard(
        http_hosts=frozenset({"127.0.0.1"}),
        private_hosts=frozenset({"127.0.0.1"}),
        resolve=lambda host, port: told.get(host, [PUBLIC]),
    )
    return WebhookSettings(keys or (SECRET_KEY,), guard)


def new_alert(subject: str = "budget:1", **fields) -> NewAlert:
    """Return an alert that a threshold of a budget was reached."""
    told = {"type": "budget.threshold_reached", "subject": subject, "occurred_at": 0, "data": json.dumps({"percent": 80})}
    return NewAlert(**told | fields)

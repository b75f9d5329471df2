"""Builders for webhook tests: settings for receivers on loopback, endpoints, alerts, and a manual dispatcher."""

import json
from typing import Any

from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.operations.alerts.dispatch_deliveries import (
    ClaimLimits,
    CompletedAttempt,
    Concurrency,
    dispatch,
    record_attempts,
)
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.manage_webhooks import NewEndpoint, create_webhook
from metering.operations.alerts.webhook_settings import WebhookSettings
from metering.operations.steps.raise_alert import raise_alert
from metering.outbound.addresses import AddressGuard
from metering.outbound.post import PostResult
from metering.storage.alerts.alerts import NewAlert
from metering.storage.engine.database import concurrent_write

SECRET_KEY = "c29tZS1rZXktdGhhdC1vbmx5LXRlc3RzLWtub3ctMTI="
PUBLIC = "93.184.215.14"
LEASE = 45_000_000


def webhook_settings(*keys: str, **hosts: str | list[str]) -> WebhookSettings:
    """Return settings that allow receivers on loopback. ``hosts`` (underscores for dots) resolve to the given addresses, all
    others to a public one.
    """
    addresses = {name.replace("_", "."): [each] if isinstance(each, str) else each for name, each in hosts.items()}
    guard = AddressGuard(
        http_hosts=frozenset({"127.0.0.1"}),
        private_hosts=frozenset({"127.0.0.1"}),
        resolve=lambda host, port: addresses.get(host, [PUBLIC]),
    )
    return WebhookSettings(keys or (SECRET_KEY,), guard)


def new_alert(subject: str = "budget:1", **fields) -> NewAlert:
    """Return an alert that a budget has reached a threshold."""
    defaults: dict[str, Any] = {
        "type": "budget.threshold_reached",
        "subject": subject,
        "occurred_at": 0,
        "data": json.dumps({"percent": 80}),
    }
    return NewAlert(**defaults | fields)


def create_endpoint(meter, url: str = "https://hooks.example/", **fields):
    """Create an endpoint; return it with its secret."""
    details, secret = create_webhook(meter.engine, NewEndpoint(url, **fields), webhook_settings(), now=meter.now)
    return details.endpoint, secret


def raise_one(meter, alert: NewAlert | None = None, **fields) -> bool:
    """Raise an alert in a separate transaction."""
    with concurrent_write(meter.engine) as connection:
        return raise_alert(connection, alert or new_alert(**fields), now=meter.now)


def deliveries_of(meter, endpoint_id: int, **query):
    """Return the deliveries to an endpoint with their attempts, oldest first."""
    return list_deliveries(meter.engine, DeliveryQuery(endpoint_id, **query), limit=1_000)[::-1]


class Sender:
    """A manual dispatcher: claims what is due at the meter's time, and records the results that a test provides."""

    def __init__(self, meter, concurrency: Concurrency | None = None) -> None:
        self.meter = meter
        self.concurrency = concurrency or Concurrency()
        self.chance = 0.5

    def claim(self, in_progress=None, lease: int = LEASE):
        """Claim due deliveries."""
        limits = ClaimLimits(in_progress or {}, self.concurrency, self.meter.now, lease)
        return dispatch(self.meter.engine, (SECRET_KEY,), [], limits)

    def record(self, claimed, *results: PostResult) -> None:
        """Record a result for each claimed delivery; the last of ``results`` is used for the rest."""
        padded = [*results, *[results[-1]] * len(claimed)]
        now = self.meter.now
        attempts = [
            CompletedAttempt(each, now, now, result, self.chance) for each, result in zip(claimed, padded, strict=False)
        ]
        record_attempts(self.meter.engine, attempts)

    def send(self, *results: PostResult) -> int:
        """Claim due deliveries and record their results; return how many they were."""
        claimed = self.claim()
        if claimed:
            self.record(claimed, *results)
        return len(claimed)


ACCEPTED = PostResult(12, 204)
REFUSED = PostResult(34, 500, answer="oh no")
GONE = PostResult(5, 410)
NO_RESPONSE = PostResult(5_000, None, "too_slow", "no response in time")

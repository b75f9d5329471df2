"""Builders for tests of webhooks: settings that let loopback pass and ask no name service, and alerts."""

import json

from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.operations.alerts.dispatch_deliveries import Attempt, ClaimLimits, Concurrency, dispatch, record_attempts
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


def create_endpoint(meter, url: str = "https://hooks.example/", **fields):
    """Make an endpoint; return it with its secret."""
    return create_webhook(meter.engine, NewEndpoint(url, **fields), webhook_settings(), now=meter.now)


def raise_one(meter, alert: NewAlert | None = None, **fields) -> bool:
    """Raise an alert in a transaction of its own."""
    with concurrent_write(meter.engine) as connection:
        return raise_alert(connection, alert or new_alert(**fields), now=meter.now)


def deliveries_of(meter, endpoint_id: int, **question):
    """Return the deliveries to an endpoint, the oldest first."""
    return list_deliveries(meter.engine, DeliveryQuery(endpoint_id, **question), limit=1_000)[::-1]


class Sender:
    """A dispatcher by hand: takes what is due at the meter's time, and records what a test says came of it."""

    def __init__(self, meter, room: Concurrency | None = None) -> None:
        self.meter = meter
        self.room = room or Concurrency()
        self.chance = 0.5

    def take(self, under_way=None, lease: int = LEASE):
        """Take what is due."""
        asked = ClaimLimits(under_way or {}, self.room, self.meter.now, lease)
        return dispatch(self.meter.engine, (SECRET_KEY,), [], asked)

    def record(self, sent, *posted: PostResult) -> None:
        """Record what came of each that was taken; the last of ``posted`` again and again."""
        outcomes = [*posted, *[posted[-1]] * len(sent)]
        now = self.meter.now
        attempts = [Attempt(each, now, now, came, self.chance) for each, came in zip(sent, outcomes, strict=False)]
        record_attempts(self.meter.engine, attempts)

    def send(self, *posted: PostResult) -> int:
        """Take what is due and record what came of it; return how many those were."""
        sent = self.take()
        if sent:
            self.record(sent, *posted)
        return len(sent)


TAKEN = PostResult(12, 204)
REFUSED = PostResult(34, 500, answer="oh no")
GONE = PostResult(5, 410)
UNANSWERED = PostResult(5_000, None, "too_slow", "no answer in time")

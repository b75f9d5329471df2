"""The types of alerts, with the headline that people read in a chat.

A type is a stable name that webhook endpoints filter by. A new type needs an entry here, in docs/alerts.md and in
docs/webhooks.md.
"""

WEBHOOK_DISABLED = "webhook.disabled"

ALERT_TYPES = {
    "budget.threshold_reached": "Budget threshold reached",
    "budget.forecast_exceeded": "Forecast exceeds budget",
    "budget.blocked": "Budget blocks requests",
    "credits.low": "Credits are low",
    "credits.exhausted": "Credits are used up",
    "usage.unpriced": "Usage without a price",
    "usage.anomaly": "Unusually expensive hour",
    "price.changed": "Prices changed",
    "statement.closed": "Statement closed",
    "statement.not_closed": "Statement cannot be closed",
    "reconciliation.variance_found": "Invoice does not match metered usage",
    WEBHOOK_DISABLED: "Webhook endpoint disabled",
}

# Not an alert, and in no filter: the message of a test that a user sends to an endpoint.
WEBHOOK_TEST = "webhook.test"
WEBHOOK_TEST_HEADLINE = "Test message"


def headline_of(type_: str) -> str:
    """Return the headline of a message for people; the type itself if it is unknown."""
    return WEBHOOK_TEST_HEADLINE if type_ == WEBHOOK_TEST else ALERT_TYPES.get(type_, type_)

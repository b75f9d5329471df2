"""What somebody can be alerted to: every type of alert, and what it says.

A type is a stable name that endpoints of webhooks filter by. A new type is a new entry here and in docs/webhooks.md.
"""

WEBHOOK_DISABLED = "webhook.disabled"

ALERT_TYPES = {
    "budget.threshold_reached": "what was spent reached a threshold of a budget",
    "budget.forecast_exceeded": "at this pace a budget will not last its period",
    "budget.blocked": "a budget that blocks is used up",
    "credits.low": "little is left of an account's credits",
    "credits.exhausted": "nothing is left of an account's credits",
    "usage.unpriced": "usage arrived that has no price",
    "usage.anomaly": "an hour far outside of the account's recent hours",
    "price.changed": "a new version of a price list counts",
    "statement.closed": "an account's month was closed",
    "statement.not_closed": "a month is due and can not be closed",
    "reconciliation.variance_found": "an invoice and the statement do not agree",
    WEBHOOK_DISABLED: "an endpoint of webhooks was disabled",
}

# No alert, and in no filter: what an endpoint is sent when somebody asks whether it works.
WEBHOOK_TEST = "webhook.test"

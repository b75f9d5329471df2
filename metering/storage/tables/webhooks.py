"""Webhook endpoints, their secrets, the outbox of messages and deliveries, and every attempt.

A message and its deliveries are inserted in the transaction of their alert. Messages and attempts never change; the rows of
deliveries and endpoints hold their current state.
"""

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy import text as sql

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

_DUE = sql("due_at IS NOT NULL")

webhook_endpoints = table(
    "webhook_endpoints",
    identifier(),
    # The owner; NULL: the operator.
    foreign_key("account_id", "accounts", null=True),
    # Encrypted, because the URL of a Slack webhook is itself a secret; shown_url is the part that may be shown.
    text("url"),
    text("shown_url"),
    text("description"),
    text("format"),
    # Separated by spaces; empty: every type.
    text("types"),
    integer("created_at"),
    # The first failure after the last success.
    integer("failing_since", null=True),
    integer("disabled_at", null=True),
    text("disabled_reason"),
    integer("deleted_at", null=True),
    CheckConstraint("format IN ('standard', 'slack')", name="format"),
    CheckConstraint("disabled_reason IN ('', 'asked', 'gone', 'failing')", name="disabled_reason"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_reason = '')", name="disabled"),
    Index("ix_webhook_endpoints_account_id", "account_id"),
)

# The accounts that an operator's endpoint is limited to; none: all.
webhook_endpoint_accounts = table(
    "webhook_endpoint_accounts",
    foreign_key("endpoint_id", "webhook_endpoints"),
    foreign_key("account_id", "accounts"),
    PrimaryKeyConstraint("endpoint_id", "account_id"),
)

webhook_secrets = table(
    "webhook_secrets",
    identifier(),
    foreign_key("endpoint_id", "webhook_endpoints"),
    # Encrypted.
    text("secret"),
    integer("created_at"),
    # Set when the secret is replaced: until then both sign.
    integer("expires_at", null=True),
    Index("ix_webhook_secrets_endpoint_id", "endpoint_id"),
)

webhook_messages = table(
    "webhook_messages",
    identifier(),
    # The webhook-id, the same for every endpoint and every attempt.
    text("name"),
    # NULL: a test.
    foreign_key("alert_id", "alerts", null=True),
    text("type"),
    integer("created_at"),
    text("document"),
    UniqueConstraint("name"),
    UniqueConstraint("alert_id"),
)

webhook_deliveries = table(
    "webhook_deliveries",
    identifier(),
    foreign_key("endpoint_id", "webhook_endpoints"),
    foreign_key("message_id", "webhook_messages"),
    text("status"),
    # Attempts since it was last queued.
    integer("tries"),
    # When to send it. A claim postpones this to the end of the lease: if the process dies, the delivery is sent again.
    integer("due_at", null=True),
    integer("created_at"),
    integer("finished_at", null=True),
    UniqueConstraint("message_id", "endpoint_id"),
    CheckConstraint("status IN ('pending', 'delivered', 'failed', 'held', 'cancelled')", name="status"),
    CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name="due"),
    CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="finished"),
    Index("ix_webhook_deliveries_due", "endpoint_id", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
)

webhook_attempts = table(
    "webhook_attempts",
    identifier(),
    foreign_key("delivery_id", "webhook_deliveries"),
    integer("started_at"),
    integer("latency_ms"),
    # NULL: no response.
    integer("status_code", null=True),
    # Empty: success.
    text("error_code"),
    text("error_message"),
    # The start of the response.
    text("answer"),
    Index("ix_webhook_attempts_delivery_id", "delivery_id"),
)

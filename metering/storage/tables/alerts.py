"""Alerts: at most one per type, subject, period and threshold, permanently."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

alerts = table(
    "alerts",
    identifier(),
    text("type"),
    text("subject"),
    # Empty and 0 for types without periods or thresholds. A second occurrence in 2026-11 has the period `2026-11#2`.
    text("period"),
    integer("threshold"),
    # NULL: not about a single account.
    foreign_key("account_id", "accounts", null=True),
    integer("occurred_at"),
    integer("recorded_at"),
    # Type-specific data, as a JSON object.
    text("data"),
    UniqueConstraint("type", "subject", "period", "threshold"),
    CheckConstraint("type <> '' AND subject <> ''", name="named"),
    Index("ix_alerts_account_id", "account_id"),
)

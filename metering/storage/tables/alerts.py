"""What somebody should know of: exactly one alert per type, subject, period and threshold, for ever."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

alerts = table(
    "alerts",
    identifier(),
    text("type"),
    text("subject"),
    # Empty, and 0, where the type knows no periods or thresholds.
    text("period"),
    integer("threshold"),
    # Whose it is; NULL where it is about no single account.
    foreign_key("account_id", "accounts", null=True),
    integer("occurred_at"),
    integer("recorded_at"),
    # What the type's readers need, as a JSON object.
    text("data"),
    UniqueConstraint("type", "subject", "period", "threshold"),
    CheckConstraint("type <> '' AND subject <> ''", name="named"),
    Index("ix_alerts_account_id", "account_id"),
)

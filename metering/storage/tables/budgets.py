"""Budgets and their revisions, and the tables that evaluation works from."""

from sqlalchemy import CheckConstraint, Column, Index, PrimaryKeyConstraint, UniqueConstraint

from metering.storage.tables.schema import Int64, flag, foreign_key, identifier, integer, table, text

budgets = table(
    "budgets",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("created_at"),
    Index("ix_budgets_account_id", "account_id"),
)

# Append-only, with author and time. The highest revision of a budget is in effect; an archived budget is not evaluated.
budget_revisions = table(
    "budget_revisions",
    identifier(),
    foreign_key("budget_id", "budgets"),
    integer("revision"),
    flag("archived"),
    text("name"),
    # The values that count, by dimension, as a JSON object in canonical order.
    text("scope"),
    text("window"),
    integer("first_day", null=True),
    integer("end_day", null=True),
    integer("amount_nano"),
    # Whole percentages, as a JSON array.
    text("thresholds"),
    integer("forecast_percent", null=True),
    text("action"),
    integer("block_percent", null=True),
    text("basis"),
    text("recorded_by"),
    integer("recorded_at"),
    UniqueConstraint("budget_id", "revision"),
    CheckConstraint("amount_nano > 0", name="amount"),
    CheckConstraint("\"window\" IN ('day', 'week', 'month', 'quarter', 'fixed')", name="window"),
    CheckConstraint(
        "(\"window\" = 'fixed') = (first_day IS NOT NULL) AND (first_day IS NULL) = (end_day IS NULL)", name="fixed_window"
    ),
    CheckConstraint("end_day > first_day", name="period"),
    CheckConstraint("action IN ('notify', 'block')", name="action"),
    CheckConstraint("(action = 'block') = (block_percent IS NOT NULL)", name="block"),
    CheckConstraint("block_percent BETWEEN 1 AND 1000", name="block_percent"),
    CheckConstraint("forecast_percent BETWEEN 1 AND 1000", name="forecast_percent"),
    CheckConstraint("basis IN ('gross', 'after_credits')", name="basis"),
)

# Accounts and days with usage that has not been evaluated, recorded in the transaction that counted it; ``unpriced``: some of
# it has no price. Rows are only inserted and deleted, so transactions never wait for each other. AUTOINCREMENT keeps SQLite
# from reusing ids: an evaluator would mistake a new row for one that it has already evaluated.
touched_days = table(
    "touched_days",
    identifier(),
    integer("account_id"),
    integer("event_day"),
    flag("unpriced"),
    sqlite_autoincrement=True,
)

# Spend by account and hour (counted from 1970), to detect unusual hours. Derived data: the event log can restore it.
hour_sums = table(
    "hour_sums",
    integer("account_id"),
    integer("hour"),
    integer("amount_nano"),
    PrimaryKeyConstraint("account_id", "hour"),
    Index("ix_hour_sums_hour", "hour"),
    sqlite_with_rowid=False,
)

# The hours that hour_sums covers, for all accounts. A negative ``summed_at`` marks an hour whose sum was started then.
summed_hours = table(
    "summed_hours",
    Column("hour", Int64, primary_key=True, autoincrement=False),
    integer("summed_at"),
)

"""Budgets with every revision of them, and what judging them works from."""

from sqlalchemy import CheckConstraint, Column, Index, PrimaryKeyConstraint, UniqueConstraint

from metering.storage.tables.schema import Int64, flag, foreign_key, identifier, integer, table, text

budgets = table(
    "budgets",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("created_at"),
    Index("ix_budgets_account_id", "account_id"),
)

# Append-only: who said what and when. Of a budget the highest revision holds; one that is archived is judged no more.
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

# Usage that has not been judged yet, noted in the transaction that counted it: of which account, on which UTC day, and whether
# something of it has no price. Rows are only ever appended and taken away, so that nobody waits for anybody. An id is never
# given again, which SQLite would do by itself: who has judged a row would take another one for it.
touched_days = table(
    "touched_days",
    identifier(),
    integer("account_id"),
    integer("event_day"),
    flag("unpriced"),
    sqlite_autoincrement=True,
)

# What accounts spent by hours (since 1970), to tell an unusual one by. Notes and no facts: the event log gives them anew.
hour_sums = table(
    "hour_sums",
    integer("account_id"),
    integer("hour"),
    integer("amount_nano"),
    PrimaryKeyConstraint("account_id", "hour"),
    Index("ix_hour_sums_hour", "hour"),
    sqlite_with_rowid=False,
)

# Which hours are in there, of all accounts. A negative ``summed_at`` marks an hour that is being summed since then.
summed_hours = table(
    "summed_hours",
    Column("hour", Int64, primary_key=True, autoincrement=False),
    integer("summed_at"),
)

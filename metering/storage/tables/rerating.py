"""Re-rating runs: what was asked for, how far it is, and what it came to.

A run's row is updated in the transaction of each chunk that it writes, so that it always says what is stored: the one row of
the service that is no fact but a place in one.
"""

from sqlalchemy import CheckConstraint

from metering.storage.tables.schema import flag, foreign_key, identifier, integer, table, text

rerate_runs = table(
    "rerate_runs",
    identifier(),
    # NULL: every account, every provider, every model.
    foreign_key("account_id", "accounts", null=True),
    integer("period_start"),
    integer("period_end"),
    text("provider", null=True),
    text("model", null=True),
    flag("include_reported"),
    text("reason"),
    # The newest price table that the run knows: a run that is resumed applies the prices that it began with.
    integer("newest_table_id"),
    integer("requested_at"),
    integer("finished_at", null=True),
    # The event that was examined last.
    integer("cursor_account_id"),
    integer("cursor_time"),
    integer("cursor_event_id"),
    integer("events_examined"),
    integer("events_changed"),
    integer("events_kept"),
    integer("before_nano"),
    integer("after_nano"),
    CheckConstraint("period_end > period_start", name="period"),
    CheckConstraint("reason <> ''", name="reason"),
    CheckConstraint("events_changed + events_kept <= events_examined", name="counts"),
)

"""Runs that correct charges: re-rating, corrections of usage, withdrawals. Their scope, progress and totals.

The row of a run is updated in the transaction of each chunk, so it always matches the stored charges. Unlike other tables, it
holds progress and not only facts.
"""

from sqlalchemy import CheckConstraint

from metering.storage.tables.schema import flag, foreign_key, identifier, integer, table, text

rerate_runs = table(
    "rerate_runs",
    identifier(),
    # rerate, correct, withdraw or restore; the last undoes a withdrawal.
    text("kind", default="rerate"),
    # NULL: every account, every provider, every model.
    foreign_key("account_id", "accounts", null=True),
    integer("period_start"),
    integer("period_end"),
    text("provider", null=True),
    text("model", null=True),
    flag("include_reported"),
    # Of corrections and withdrawals: which events, and the new values, as JSON objects.
    text("selection"),
    text("changes"),
    # The run that this one undoes; NULL for none.
    integer("undoes", null=True),
    text("reason"),
    # The newest price table that the run uses: a resumed run applies the prices it started with.
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

"""What is kept of retired months: their numbers of events, their sums, and their claims."""

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text
from pricing.quantities import ALL_KINDS

# A month can be retired again, because events of it can arrive late. ``last_id`` is the largest ID of its events and copies.
retired_months = table(
    "retired_months",
    identifier(),
    integer("month"),
    integer("events"),
    integer("copies"),
    integer("charges"),
    integer("last_id"),
    # Where the events were exported to, and the SHA-256 of the export's manifest; both empty without an export.
    text("directory"),
    text("digest"),
    integer("retired_at"),
    CheckConstraint("events >= 0 AND copies >= 0 AND charges >= 0", name="counts"),
    CheckConstraint("(directory = '') = (digest = '')", name="exported"),
    Index("ix_retired_months_month", "month"),
)

# The sums of retired events under each key of ``rollups``, so that rollups can still be recomputed.
retired_rollups = table(
    "retired_rollups",
    foreign_key("series_id", "series"),
    integer("rate_id"),
    integer("price_grade"),
    integer("quantity_grade"),
    integer("billable"),
    integer("event_day"),
    integer("billing_month"),
    integer("events"),
    *(integer(kind) for kind in ALL_KINDS),
    integer("amount_nano"),
    PrimaryKeyConstraint("series_id", "rate_id", "price_grade", "quantity_grade", "billable", "event_day", "billing_month"),
    Index("ix_retired_rollups_event_day", "event_day"),
    sqlite_with_rowid=False,
)

# The claims of retired events, and what deduplication needs: another source's record of one is a copy, however late it arrives.
retired_claims = table(
    "retired_claims",
    integer("claim"),
    integer("event_id"),
    foreign_key("account_id", "accounts"),
    foreign_key("source_id", "sources"),
    integer("event_time"),
    PrimaryKeyConstraint("claim", "event_id"),
    sqlite_with_rowid=False,
)

# The sums of each re-rating over events that have been retired.
retired_runs = table(
    "retired_runs",
    foreign_key("run_id", "rerate_runs", primary_key=True),
    integer("reversed"),
    integer("replaced"),
    integer("before_nano"),
    integer("after_nano"),
    sqlite_with_rowid=False,
)

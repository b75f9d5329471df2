"""The event log, what makes an event count once, its charges, and the rollups.

An event's row carries its first charge; later charges stand in ``charges`` as reversal and replacement. The row is narrow,
because every column costs time and space a million times over: dimensions live in ``series``, when events arrived in
``receipts``, kinds of quantities that few requests have in ``other_quantities``, and what follows from other columns (whether
Hugging Face bills the event, whether a cache price was assumed) in none.
"""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, PrimaryKeyConstraint, UniqueConstraint

from metering.domain.batches import COLUMN_KINDS
from metering.storage.tables.schema import Int64, identifier, integer, refers, table, text
from pricing.quantities import ALL_KINDS

sources = table("sources", identifier(), text("name"), UniqueConstraint("name"))

# ``tags`` is canonical JSON of the declared tags. Past the cap the open dimensions say ``(other)``.
series = table(
    "series",
    identifier(),
    refers("account_id", "accounts"),
    text("provider"),
    text("model"),
    text("operation"),
    text("route"),
    text("project"),
    text("key"),
    text("tags"),
    UniqueConstraint("account_id", "provider", "model", "operation", "route", "project", "key", "tags"),
    CheckConstraint("route IN ('routed', 'provider_key', 'serverless', 'unknown')", name="route"),
)

events = table(
    "events",
    identifier(),
    refers("account_id", "accounts"),
    refers("series_id", "series"),
    refers("source_id", "sources"),
    text("external_id"),
    integer("event_time"),
    integer("status", null=True),
    integer("quantity_grade"),
    *(integer(kind) for kind in COLUMN_KINDS),
    # The other kinds that are not zero, as JSON; empty for none.
    text("other_quantities"),
    # The first charge: NULL where it is unpriced.
    integer("charge_nano", null=True),
    refers("rate_id", "rates", null=True),
    integer("price_grade"),
    integer("billing_month"),
    text("response_id"),
    text("inference_id"),
    integer("latency_ms", null=True),
    # What only a drill-down asks for, as JSON: undeclared tags, values folded out of the series, reported costs.
    text("details"),
    CheckConstraint("charge_nano >= 0 AND charge_nano < 9007199254740992", name="charge_bounds"),
    CheckConstraint("(charge_nano IS NULL) = (price_grade = 2)", name="unpriced"),
    CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name="rated"),
    CheckConstraint(" AND ".join(f"{kind} >= 0" for kind in COLUMN_KINDS), name="quantities"),
    Index("ix_events_account_id_event_time", "account_id", "event_time"),
)

# When events arrived: those from ``first_event_id`` until the next receipt's, stored in one transaction.
receipts = table(
    "receipts",
    Column("first_event_id", Int64, primary_key=True, autoincrement=False),
    integer("received_at"),
)

# Identity is (account, source, id) hashed to 16 bytes; ``event_id`` names the event, or the copy, that it belongs to.
event_identities = table(
    "event_identities",
    Column("identity", LargeBinary, nullable=False),
    integer("event_id"),
    integer("fingerprint"),
    PrimaryKeyConstraint("identity"),
    sqlite_with_rowid=False,
)

event_claims = table(
    "event_claims",
    integer("claim"),
    integer("event_id"),
    PrimaryKeyConstraint("claim", "event_id"),
    sqlite_with_rowid=False,
)

# Another source's record of an event that is already counted. ``content`` is the normalised record as JSON.
event_copies = table(
    "event_copies",
    Column("id", integer("id").type, primary_key=True, autoincrement=False),
    refers("copy_of", "events"),
    refers("account_id", "accounts"),
    refers("source_id", "sources"),
    text("external_id"),
    integer("event_time"),
    integer("received_at"),
    text("content"),
    Index("ix_event_copies_copy_of", "copy_of"),
)

# The same identity with other content: the first stands, this is what else was claimed.
event_conflicts = table(
    "event_conflicts",
    identifier(),
    Column("identity", LargeBinary, nullable=False),
    integer("fingerprint"),
    integer("event_id"),
    refers("account_id", "accounts"),
    refers("source_id", "sources"),
    text("external_id"),
    integer("received_at"),
    text("content"),
    UniqueConstraint("identity", "fingerprint"),
)

# Later charges. A reversal takes one entry back with exactly its key, a replacement puts another in its place.
charges = table(
    "charges",
    identifier(),
    refers("event_id", "events"),
    refers("series_id", "series"),
    integer("sign"),
    integer("amount_nano"),
    refers("rate_id", "rates", null=True),
    integer("price_grade"),
    integer("billing_month"),
    integer("recorded_at"),
    text("reason"),
    # The re-rating that wrote it, NULL for everything else.
    refers("run_id", "rerate_runs", null=True),
    CheckConstraint("sign IN (-1, 1)", name="sign"),
    CheckConstraint("amount_nano * sign >= 0", name="amount"),
    CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name="rated"),
    Index("ix_charges_event_id", "event_id"),
)

# Signed sums of events with their charges; ``rate_id`` 0 means no rate.
rollups = table(
    "rollups",
    refers("series_id", "series"),
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
    Index("ix_rollups_event_day", "event_day"),
    Index("ix_rollups_billing_month", "billing_month"),
    sqlite_with_rowid=False,
)

# The same sums by event month: what a month comes to is asked for more often than anything else.
month_rollups = table(
    "month_rollups",
    refers("series_id", "series"),
    integer("rate_id"),
    integer("price_grade"),
    integer("quantity_grade"),
    integer("billable"),
    integer("event_month"),
    integer("billing_month"),
    integer("events"),
    *(integer(kind) for kind in ALL_KINDS),
    integer("amount_nano"),
    PrimaryKeyConstraint("series_id", "rate_id", "price_grade", "quantity_grade", "billable", "event_month", "billing_month"),
    Index("ix_month_rollups_event_month", "event_month"),
    Index("ix_month_rollups_billing_month", "billing_month"),
    sqlite_with_rowid=False,
)

# Records that could not become events: where they stand and why, never what they say.
quarantine = table(
    "quarantine",
    identifier(),
    text("source"),
    text("file"),
    integer("line"),
    integer("offset"),
    integer("length"),
    text("digest"),
    text("code"),
    text("reason"),
    text("field"),
    text("kept"),
    # How the record was read, as JSON, so that a replay reads it the same way.
    text("options"),
    integer("recorded_at"),
    integer("seen_at"),
    integer("resolved_at", null=True),
    UniqueConstraint("source", "file", "offset", "digest"),
)

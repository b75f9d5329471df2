"""The event log, what makes an event count once, its charges, and the rollups.

An event's row carries its first charge; later charges stand in ``charges`` as reversal and replacement. The row is narrow,
because every column costs time and space a million times over: dimensions live in ``series``, when events arrived in
``receipts``, kinds of quantities that few requests have in ``other_quantities``, and what follows from other columns (whether
Hugging Face bills the event, whether a cache price was assumed) in none.

On PostgreSQL the log is partitioned by the UTC month of the event time. No reference can lead to it, because its key has to
hold the time, and it keeps none itself: four look-ups an event would cost more than the event.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    UniqueConstraint,
)
from sqlalchemy import text as literal_sql

from metering.domain.usage.batch_events import COLUMN_KINDS
from metering.storage.tables.schema import (
    Bytes16,
    DialectPrimaryKey,
    Int16,
    Int64,
    flag,
    foreign_key,
    identifier,
    integer,
    metadata,
    narrow_integer,
    sqlite_foreign_key,
    table,
    text,
)
from metering.storage.tables.sums import sum_columns

# PriceGrade.UNPRICED. The index holds no other event, so that one that is priced costs nothing to it.
_UNPRICED = literal_sql("price_grade = 2")

sources = table("sources", identifier(), text("name"), UniqueConstraint("name"))

# ``tags`` is canonical JSON of the declared tags. Past the cap the open dimensions say ``(other)``.
series = table(
    "series",
    identifier(),
    foreign_key("account_id", "accounts"),
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
    Column("id", Int64, autoincrement=False),
    narrow_integer("account_id"),
    narrow_integer("series_id"),
    narrow_integer("source_id"),
    text("external_id"),
    integer("event_time"),
    narrow_integer("status", Int16, null=True),
    narrow_integer("quantity_grade", Int16),
    *(narrow_integer(kind) for kind in COLUMN_KINDS),
    # The other kinds that are not zero, as JSON; empty for none.
    text("other_quantities"),
    # The first charge: NULL where it is unpriced.
    integer("charge_nano", null=True),
    narrow_integer("rate_id", null=True),
    narrow_integer("price_grade", Int16),
    narrow_integer("billing_month"),
    text("response_id"),
    text("inference_id"),
    narrow_integer("latency_ms", null=True),
    # What only a drill-down asks for, as JSON: undeclared tags, values folded out of the series, reported costs.
    text("details"),
    CheckConstraint("charge_nano >= 0 AND charge_nano < 9007199254740992", name="charge_bounds"),
    CheckConstraint("(charge_nano IS NULL) = (price_grade = 2)", name="unpriced"),
    CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name="rated"),
    CheckConstraint(" AND ".join(f"{kind} >= 0" for kind in COLUMN_KINDS), name="quantities"),
    DialectPrimaryKey("id", on_postgres=("id", "event_time")),
    sqlite_foreign_key("account_id", "accounts"),
    sqlite_foreign_key("series_id", "series"),
    sqlite_foreign_key("source_id", "sources"),
    sqlite_foreign_key("rate_id", "rates"),
    Index("ix_events_account_id_event_time", "account_id", "event_time"),
    Index("ix_events_unpriced", "id", sqlite_where=_UNPRICED, postgresql_where=_UNPRICED),
    postgresql_partition_by="RANGE (event_time)",
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
    Column("identity", Bytes16, nullable=False),
    integer("event_id"),
    integer("fingerprint"),
    PrimaryKeyConstraint("identity"),
    sqlite_with_rowid=False,
)

# Another source's record of an event that is already counted. ``content`` is the normalised record as JSON.
event_copies = table(
    "event_copies",
    Column("id", integer("id").type, primary_key=True, autoincrement=False),
    integer("copy_of"),
    foreign_key("account_id", "accounts"),
    foreign_key("source_id", "sources"),
    text("external_id"),
    integer("event_time"),
    integer("received_at"),
    text("content"),
    sqlite_foreign_key("copy_of", "events"),
    Index("ix_event_copies_copy_of", "copy_of"),
)

# The same identity with other content: the first stands, this is what else was claimed.
event_conflicts = table(
    "event_conflicts",
    identifier(),
    Column("identity", LargeBinary, nullable=False),
    integer("fingerprint"),
    integer("event_id"),
    foreign_key("account_id", "accounts"),
    foreign_key("source_id", "sources"),
    text("external_id"),
    integer("received_at"),
    text("content"),
    UniqueConstraint("identity", "fingerprint"),
)

# Later charges. A reversal takes one entry back with exactly its key, a replacement puts another in its place.
charges = table(
    "charges",
    identifier(),
    integer("event_id"),
    foreign_key("series_id", "series"),
    integer("sign"),
    integer("amount_nano"),
    foreign_key("rate_id", "rates", null=True),
    integer("price_grade"),
    integer("billing_month"),
    integer("recorded_at"),
    text("reason"),
    # The re-rating that wrote it, NULL for everything else.
    foreign_key("run_id", "rerate_runs", null=True),
    sqlite_foreign_key("event_id", "events"),
    CheckConstraint("sign IN (-1, 1)", name="sign"),
    CheckConstraint("amount_nano * sign >= 0", name="amount"),
    CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name="rated"),
    Index("ix_charges_event_id", "event_id"),
)

# Events of ``unassigned`` that belong to an account by now; their rows stay what they were. ``counted_as`` is the event that
# counts there: the event itself, or the one that had counted the same request before, and then its charge is only taken back.
# ``claims_identity``: whether (account, source, id) names this event, or named that other one already. The rows stay when the
# events are retired, because the identities do.
assigned_events = table(
    "assigned_events",
    Column("event_id", Int64, primary_key=True, autoincrement=False),
    foreign_key("account_id", "accounts"),
    integer("event_time"),
    integer("counted_as"),
    flag("claims_identity"),
    integer("assigned_at"),
    CheckConstraint("claims_identity = 1 OR counted_as <> event_id", name="counted"),
    Index("ix_assigned_events_account_id_event_time", "account_id", "event_time", "event_id"),
)

# Signed sums of events with their charges; ``rate_id`` 0 means no rate.
rollups = table(
    "rollups",
    foreign_key("series_id", "series"),
    integer("rate_id"),
    integer("price_grade"),
    integer("quantity_grade"),
    integer("billable"),
    integer("event_day"),
    integer("billing_month"),
    *sum_columns(),
    PrimaryKeyConstraint("series_id", "rate_id", "price_grade", "quantity_grade", "billable", "event_day", "billing_month"),
    Index("ix_rollups_event_day", "event_day"),
    Index("ix_rollups_billing_month", "billing_month"),
    sqlite_with_rowid=False,
)

# The same sums by event month: what a month comes to is asked for more often than anything else.
month_rollups = table(
    "month_rollups",
    foreign_key("series_id", "series"),
    integer("rate_id"),
    integer("price_grade"),
    integer("quantity_grade"),
    integer("billable"),
    integer("event_month"),
    integer("billing_month"),
    *sum_columns(),
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

# What only SQLite has. Identities that are new enough to be written in one place, before they go to where they stay: their keys
# are random, and each one that is written where it stays costs a page of a large index (see ``sqlite_identities``).
sqlite_metadata = MetaData(naming_convention=metadata.naming_convention)
recent_identities = Table(
    "recent_identities",
    sqlite_metadata,
    Column("identity", Bytes16, nullable=False),
    integer("event_id"),
    integer("fingerprint"),
    PrimaryKeyConstraint("identity"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
# Claims by the hour (since 1970) of their events. Claims are random like identities, but a copy is at most an hour away from
# its original, so that what is written now lies on few pages, however large the log is.
claims_by_hour = Table(
    "event_claims",
    sqlite_metadata,
    integer("hour"),
    integer("claim"),
    integer("event_id"),
    PrimaryKeyConstraint("hour", "claim", "event_id"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# What only PostgreSQL has. A claim stands once in the first table, with the first event that made it, so that two writers of
# one claim wait for each other; in the second stand later events that made it and are no copies: the same source, another
# account, another hour.
postgres_metadata = MetaData(naming_convention=metadata.naming_convention)
event_claims = Table(
    "event_claims",
    postgres_metadata,
    Column("claim", Int64, primary_key=True, autoincrement=False),
    integer("event_id"),
)
later_claims = Table(
    "later_claims",
    postgres_metadata,
    integer("claim"),
    integer("event_id"),
    PrimaryKeyConstraint("claim", "event_id"),
)

# Each value begins a block of ids, so that the ids of a batch follow one another; what a batch leaves over is skipped.
EVENT_ID_BLOCK = 1_000
event_ids = Sequence("event_ids", start=1, increment=EVENT_ID_BLOCK, metadata=postgres_metadata)

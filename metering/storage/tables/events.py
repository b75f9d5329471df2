"""The event log, identities and claims, charges, and rollups.

An event's row has its first charge; later charges are in ``charges``, as reversal and replacement. The row is narrow, because
every column costs time and space a million times over: dimensions are in ``series``, arrival times in ``receipts``, kinds of
quantities that few requests have in ``other_quantities``. What follows from other columns (whether Hugging Face bills the
event, whether a cache price was assumed) is not stored.

On PostgreSQL the log is partitioned by the UTC month of the event time. No foreign key can refer to it, because its primary key
must include the time, and it has none itself: four lookups per event would cost more than the event.
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

# PriceGrade.UNPRICED. The index contains no other events, so priced events cost nothing here.
_UNPRICED = literal_sql("price_grade = 2")

# ``derived``: the name comes from a file's name, not from a person or a record. Identities of its events do not contain it (see
# ``domain.usage.identity``). ``by_response_id_through``: up to this event, the response's ID came before the record's.
sources = table(
    "sources",
    identifier(),
    text("name"),
    integer("derived", default=0),
    integer("by_response_id_through", default=0),
    UniqueConstraint("name"),
)

# ``tags`` is canonical JSON of the declared tags. Past the cap, dimensions that callers choose are ``(other)``.
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
    # All other kinds that are not zero, as JSON; empty for none.
    text("other_quantities"),
    # The first charge: NULL if unpriced.
    integer("charge_nano", null=True),
    narrow_integer("rate_id", null=True),
    narrow_integer("price_grade", Int16),
    narrow_integer("billing_month"),
    text("response_id"),
    text("inference_id"),
    narrow_integer("latency_ms", null=True),
    # What only a drill-down needs, as JSON: undeclared tags, values folded out of the series, reported costs.
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

# When events arrived: those from ``first_event_id`` to the next receipt's were stored in one transaction.
receipts = table(
    "receipts",
    Column("first_event_id", Int64, primary_key=True, autoincrement=False),
    integer("received_at"),
)

# Identity is (account, source, id) hashed to 16 bytes; ``event_id`` is the event or copy it belongs to.
event_identities = table(
    "event_identities",
    Column("identity", Bytes16, nullable=False),
    integer("event_id"),
    integer("fingerprint"),
    PrimaryKeyConstraint("identity"),
    sqlite_with_rowid=False,
)

# Another source's record of an event that is already counted. ``content`` is the normalized record as JSON.
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

# Records with the identity of an event but different content. The first record is kept as the event.
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

# Later charges. A reversal cancels one entry under exactly its key; a replacement adds another.
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
    # The re-rating that wrote it; NULL for other reasons.
    foreign_key("run_id", "rerate_runs", null=True),
    sqlite_foreign_key("event_id", "events"),
    CheckConstraint("sign IN (-1, 1)", name="sign"),
    CheckConstraint("amount_nano * sign >= 0", name="amount"),
    CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name="rated"),
    Index("ix_charges_event_id", "event_id"),
)

# Events of ``unassigned`` that were assigned to an account; their own rows do not change. ``counted_as`` is the event that
# counts there: the event itself, or the one that counted the same request before (the charge of this one is then only
# reversed). ``claims_identity``: whether (account, source, id) belongs to this event, or already belonged to that other one.
# The rows stay when the events are retired, because the identities stay.
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

# Events that no longer count; their rows stay and their charges are reversed. ``superseded_by`` is the event that counts
# instead, NULL if the event was withdrawn; ``fingerprint`` is the content digest of that event's record, so that the record is
# recognized when it is sent again; ``passes_identity``: that event was stored for this purpose and has no separate identity;
# ``run_id`` is the withdrawal. The row of a withdrawal that is undone is deleted: the
# ledger keeps both. The rows stay when the events are retired, because the identities stay.
superseded_events = table(
    "superseded_events",
    Column("event_id", Int64, primary_key=True, autoincrement=False),
    foreign_key("account_id", "accounts"),
    integer("event_time"),
    integer("superseded_by", null=True),
    integer("fingerprint", null=True),
    flag("passes_identity"),
    foreign_key("run_id", "rerate_runs", null=True),
    integer("superseded_at"),
    CheckConstraint("superseded_by <> event_id", name="differs"),
    Index("ix_superseded_events_superseded_by", "superseded_by"),
)

# What a person decided about a conflict: its record replaced the event, or the event stays.
conflict_decisions = table(
    "conflict_decisions",
    foreign_key("conflict_id", "event_conflicts", primary_key=True),
    text("decision"),
    text("reason"),
    text("recorded_by"),
    integer("recorded_at"),
    CheckConstraint("decision IN ('accepted', 'dismissed')", name="decision"),
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

# The same sums by event month, because monthly totals are queried most often.
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

# Records that could not become events: where they are and why, never their content.
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
    # How the record was read, as JSON, so that a replay reads it with the same options.
    text("options"),
    integer("recorded_at"),
    integer("seen_at"),
    integer("resolved_at", null=True),
    UniqueConstraint("source", "file", "offset", "digest"),
)

# SQLite only. Recent identities are collected here before they move to ``event_identities``: their keys are random, and each
# one that is written there directly costs a page of a large index (see ``sqlite_identities``).
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
# SQLite only. Claims by the hour (since 1970) of their events. Claims are random like identities, but a copy is at most an hour
# away from its original, so that new claims are on few pages, however large the log is.
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

# PostgreSQL only. ``event_claims`` has each claim once, with the first event that made it, so that two writers of one claim
# wait for each other. ``later_claims`` has later events that made it and are not copies: same source, different account, or
# different hour.
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

# Each value starts a block of IDs, so that the IDs of a batch are consecutive; unused IDs of a block are skipped.
EVENT_ID_BLOCK = 1_000
event_ids = Sequence("event_ids", start=1, increment=EVENT_ID_BLOCK, metadata=postgres_metadata)

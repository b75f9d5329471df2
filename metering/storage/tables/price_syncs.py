"""Price syncs: each fetch of a source's prices, and each decision about a pending one. Append-only.

A pending sync (outcome ``held``) is decided by a further row that refers to it (``decides``), never by an update. ``decides``
is unique, so a sync is decided once.
"""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

price_syncs = table(
    "price_syncs",
    identifier(),
    text("source"),
    integer("started_at"),
    integer("finished_at"),
    text("outcome"),
    # The ETag to send with the next request, so that the source can answer "not modified".
    text("etag"),
    # SHA-256 of the fetched document, or empty.
    text("digest"),
    foreign_key("table_id", "price_tables", null=True),
    foreign_key("decides", "price_syncs", null=True),
    # JSON: the changes, the reasons why the sync is pending, and the pending price table.
    text("changes"),
    text("reasons"),
    text("held"),
    text("error_code"),
    text("error_message"),
    UniqueConstraint("decides"),
    CheckConstraint(
        "outcome IN ('recorded', 'unchanged', 'held', 'accepted', 'superseded', 'failed')",
        name="outcome",
    ),
    CheckConstraint("(outcome IN ('accepted', 'superseded')) = (decides IS NOT NULL)", name="decides"),
    CheckConstraint("(outcome IN ('recorded', 'accepted')) = (table_id IS NOT NULL)", name="table"),
    CheckConstraint("(outcome = 'held') = (held <> '')", name="held"),
    CheckConstraint("(outcome = 'failed') = (error_code <> '')", name="error"),
    CheckConstraint("finished_at >= started_at", name="period"),
    Index("ix_price_syncs_source_outcome", "source", "outcome"),
)

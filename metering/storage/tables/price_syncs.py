"""Each time a source was asked for its prices, and each decision about an answer that was held back. Append-only.

An answer that was held is decided by a further row that names it (``decides``), never by an edit: the held row keeps saying
what was seen, the decision what came of it, and the uniqueness of ``decides`` that it is decided once.
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
    # What to send so that the source can answer that nothing changed.
    text("etag"),
    # SHA-256 of the document; empty where there was none.
    text("digest"),
    foreign_key("table_id", "price_tables", null=True),
    foreign_key("decides", "price_syncs", null=True),
    # JSON: what changed, why it was held, and the whole price table that waits.
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

"""Imported invoices, reconciliations with their variances, decisions, and answers to the Billing API. All append-only.

A document's row is written before its lines are read, because an invoice can have millions; the invoice's own row comes last,
in the transaction that ends the import. Lines of a document without an invoice were left by an interrupted import and do not
count.
"""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, PrimaryKeyConstraint, UniqueConstraint

from metering.storage.tables.schema import (
    Bytes16,
    Int64,
    flag,
    foreign_key,
    identifier,
    integer,
    sqlite_foreign_key,
    table,
    text,
)

invoice_documents = table(
    "invoice_documents",
    identifier(),
    foreign_key("account_id", "accounts"),
    text("digest"),
    # The options it was read with, as JSON. The same document read with a different column map or period is a separate invoice.
    text("reading"),
    integer("bytes"),
    integer("begun_at"),
    UniqueConstraint("account_id", "digest", "reading"),
    CheckConstraint("digest <> ''", name="digest"),
)

# The unchanged document, in parts, each compressed.
invoice_parts = table(
    "invoice_parts",
    foreign_key("document_id", "invoice_documents"),
    integer("part"),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("document_id", "part"),
)

# Fields that a line does not state are empty or NULL. ``quantities`` is JSON, empty for none.
invoice_lines = table(
    "invoice_lines",
    integer("document_id"),
    integer("position"),
    text("kind"),
    integer("amount_nano", null=True),
    text("request_id"),
    text("session"),
    integer("day", null=True),
    text("provider"),
    text("model"),
    integer("requests", null=True),
    text("quantities"),
    PrimaryKeyConstraint("document_id", "position"),
    sqlite_foreign_key("document_id", "invoice_documents"),
    CheckConstraint("kind IN ('usage', 'credit', 'fee', 'tax')", name="kind"),
    sqlite_with_rowid=False,
)

# An invoice has the id of its document.
invoices = table(
    "invoices",
    foreign_key("id", "invoice_documents", primary_key=True),
    foreign_key("account_id", "accounts"),
    text("biller"),
    # Covers only this provider's usage; empty: all usage that the biller charges.
    text("provider"),
    text("number"),
    text("format"),
    text("file"),
    text("grain"),
    text("routes"),
    integer("period_start"),
    integer("period_end"),
    integer("issued_at"),
    integer("unit_nano"),
    integer("lines"),
    # NULL if it states no amounts, or no total.
    integer("lines_nano", null=True),
    integer("total_nano", null=True),
    # The invoice that it replaces.
    foreign_key("supersedes_id", "invoices", null=True),
    # Notes from the import, as a JSON list.
    text("notes"),
    integer("imported_at"),
    # Rows of the document that are sums of others: line, nano-USD or null, and the reason, as a JSON list.
    text("excluded_rows"),
    UniqueConstraint("supersedes_id"),
    CheckConstraint("period_end > period_start", name="period"),
    CheckConstraint("grain IN ('request', 'session', 'day', 'model', 'provider', 'total')", name="grain"),
    CheckConstraint("unit_nano >= 1 AND lines >= 1", name="counts"),
    Index("ix_invoices_account_id_period_start", "account_id", "period_start"),
)

reconciliations = table(
    "reconciliations",
    identifier(),
    foreign_key("invoice_id", "invoices"),
    foreign_key("account_id", "accounts"),
    integer("run_at"),
    integer("ours_nano"),
    integer("theirs_nano"),
    integer("requests"),
    integer("matched_requests"),
    # The sum of the usage lines, and how much of it was found in metered usage.
    integer("usage_nano"),
    integer("matched_nano"),
    # Whether ``theirs_nano`` values the billed quantities at our prices, because the invoice states no amounts.
    flag("valued"),
    integer("tolerance_nano"),
    # What a person chose to compare a pasted total with, and the total of our statement then.
    text("reading"),
    integer("statement_nano", null=True),
    Index("ix_reconciliations_invoice_id", "invoice_id"),
    Index("ix_reconciliations_account_id", "account_id"),
)

variances = table(
    "variances",
    identifier(),
    foreign_key("reconciliation_id", "reconciliations"),
    text("cause"),
    text("detail"),
    text("provider"),
    text("model"),
    text("basis"),
    integer("amount_nano"),
    integer("items"),
    # Whether it is tolerated; all tolerated variances together are within the tolerance.
    flag("tolerated"),
    # Other explanations that fit as well, as a JSON list.
    text("alternatives"),
    # Only for invoices by session.
    text("session"),
    UniqueConstraint("reconciliation_id", "cause", "detail", "provider", "model", "session"),
    CheckConstraint("basis IN ('observed', 'inferred')", name="basis"),
    # Zero if only a correction is left of an earlier difference.
    CheckConstraint("items >= 0", name="items"),
)

# The requests and lines that show a variance. NULL where a side has none.
variance_items = table(
    "variance_items",
    integer("variance_id"),
    integer("number"),
    integer("event_id", null=True),
    integer("position", null=True),
    integer("ours_nano", null=True),
    integer("theirs_nano", null=True),
    integer("amount_nano"),
    PrimaryKeyConstraint("variance_id", "number"),
    sqlite_foreign_key("variance_id", "variances"),
    sqlite_with_rowid=False,
)

# Decisions on a variance; the latest one applies.
variance_decisions = table(
    "variance_decisions",
    identifier(),
    foreign_key("variance_id", "variances"),
    text("state"),
    text("who"),
    text("reason"),
    integer("decided_at"),
    # The sum of the corrections to statements for this variance, and the reference of the latest adjustment; empty for none.
    integer("corrected_nano"),
    text("adjustment"),
    CheckConstraint("state IN ('open', 'explained', 'accepted', 'disputed', 'resolved')", name="state"),
    CheckConstraint("who <> '' AND reason <> ''", name="said"),
    Index("ix_variance_decisions_variance_id", "variance_id"),
)

# Answers to Hugging Face's Billing API: the first answer for a request ID is final.
billing_answers = table(
    "billing_answers",
    # A hash of the account and the request ID.
    Column("request_key", Bytes16, nullable=False),
    integer("account_id"),
    integer("event_id"),
    integer("cost_nano"),
    Column("answered_at", Int64, nullable=False),
    PrimaryKeyConstraint("request_key"),
    CheckConstraint("cost_nano >= 0", name="cost"),
    # Not on PostgreSQL: checking it for each of ten thousand answers took a tenth of the response time.
    sqlite_foreign_key("account_id", "accounts"),
    sqlite_with_rowid=False,
)

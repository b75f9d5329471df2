"""Invoices as they came, what holding them against our usage found, and what somebody decided about it. All append-only.

A document is noted before its lines are read, because a bill may have millions; the invoice's own row comes last, in the
transaction that ends the import. Lines of a document without an invoice are what an interrupted import left, and are no facts.
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
    # How it was read, as JSON: another map of columns, or another period of several, makes another invoice of it.
    text("reading"),
    integer("bytes"),
    integer("begun_at"),
    UniqueConstraint("account_id", "digest", "reading"),
    CheckConstraint("digest <> ''", name="digest"),
)

# The document as it came, in parts, each compressed.
invoice_parts = table(
    "invoice_parts",
    foreign_key("document_id", "invoice_documents"),
    integer("part"),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("document_id", "part"),
)

# What a line does not state is empty, or NULL. ``quantities`` is JSON, empty for none.
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

# Its id is that of its document.
invoices = table(
    "invoices",
    foreign_key("id", "invoice_documents", primary_key=True),
    foreign_key("account_id", "accounts"),
    text("biller"),
    # Only this provider's usage; empty: all that the biller charges.
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
    # NULL where it states no amounts, or no total.
    integer("lines_nano", null=True),
    integer("total_nano", null=True),
    # The invoice that it corrects.
    foreign_key("supersedes_id", "invoices", null=True),
    # Remarks for whoever reads it, as a JSON list.
    text("notes"),
    integer("imported_at"),
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
    # What of their usage lines found ours.
    integer("usage_nano"),
    integer("matched_nano"),
    # Whether their figure is their quantities at our prices, because they state no amounts.
    flag("valued"),
    integer("tolerance_nano"),
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
    # Whether it is within what is tolerated; all that is, together, is no more than the tolerance.
    flag("tolerated"),
    # Other explanations that fit as well, as a JSON list.
    text("alternatives"),
    # Of a bill by session: which one.
    text("session"),
    UniqueConstraint("reconciliation_id", "cause", "detail", "provider", "model", "session"),
    CheckConstraint("basis IN ('observed', 'inferred')", name="basis"),
    # None where only a correction is left of what differed before.
    CheckConstraint("items >= 0", name="items"),
)

# The requests and lines that show a variance. NULL where one side has none.
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

# What was decided about a variance; the last one holds.
variance_decisions = table(
    "variance_decisions",
    identifier(),
    foreign_key("variance_id", "variances"),
    text("state"),
    text("who"),
    text("reason"),
    integer("decided_at"),
    # What statements were corrected by for this variance, in all, and the reference of the last adjustment; empty for none.
    integer("corrected_nano"),
    text("adjustment"),
    CheckConstraint("state IN ('open', 'explained', 'accepted', 'disputed', 'resolved')", name="state"),
    CheckConstraint("who <> '' AND reason <> ''", name="said"),
    Index("ix_variance_decisions_variance_id", "variance_id"),
)

# What Hugging Face was told that a request costs: the first answer for an id is the answer for ever.
billing_answers = table(
    "billing_answers",
    # The account and the id that was asked for, hashed.
    Column("request_key", Bytes16, nullable=False),
    integer("account_id"),
    integer("event_id"),
    integer("cost_nano"),
    Column("answered_at", Int64, nullable=False),
    PrimaryKeyConstraint("request_key"),
    CheckConstraint("cost_nano >= 0", name="cost"),
    # Looked at for each of ten thousand answers, it took a tenth of the time that Hugging Face is kept waiting.
    sqlite_foreign_key("account_id", "accounts"),
    sqlite_with_rowid=False,
)

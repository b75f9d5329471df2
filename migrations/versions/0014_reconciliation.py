"""Invoices, reconciliations, variances with their decisions, and answers given to Hugging Face's Billing API.

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Bytes16 = sa.LargeBinary().with_variant(postgresql.UUID(), "postgresql")
TABLES = (
    "billing_answers",
    "variance_decisions",
    "variance_items",
    "variances",
    "reconciliations",
    "invoices",
    "invoice_lines",
    "invoice_parts",
    "invoice_documents",
)


def upgrade() -> None:
    create_invoices()
    create_reconciliations()
    create_billing_answers()


def downgrade() -> None:
    refuse_to_lose("invoices", "imported invoices, the decisions on them and the answers given to Hugging Face")
    refuse_to_lose("billing_answers", "imported invoices, the decisions on them and the answers given to Hugging Face")
    for name in TABLES:
        op.drop_table(name)


def create_invoices() -> None:
    op.create_table(
        "invoice_documents",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("reading", sa.Text(), server_default="", nullable=False),
        sa.Column("bytes", Int64, nullable=False),
        sa.Column("begun_at", Int64, nullable=False),
        sa.CheckConstraint("digest <> ''", name=op.f("ck_invoice_documents_digest")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_invoice_documents_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_documents")),
        sa.UniqueConstraint("account_id", "digest", "reading", name=op.f("uq_invoice_documents_account_id_digest_reading")),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_parts",
        sa.Column("document_id", Int64, nullable=False),
        sa.Column("part", Int64, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["invoice_documents.id"], name=op.f("fk_invoice_parts_document_id")),
        sa.PrimaryKeyConstraint("document_id", "part", name=op.f("pk_invoice_parts")),
        sqlite_strict=True,
    )
    op.create_table(
        "invoice_lines",
        sa.Column("document_id", Int64, nullable=False),
        sa.Column("position", Int64, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=True),
        sa.Column("request_id", sa.Text(), server_default="", nullable=False),
        sa.Column("session", sa.Text(), server_default="", nullable=False),
        sa.Column("day", Int64, nullable=True),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("requests", Int64, nullable=True),
        sa.Column("quantities", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('usage', 'credit', 'fee', 'tax')", name=op.f("ck_invoice_lines_kind")),
        sa.PrimaryKeyConstraint("document_id", "position", name=op.f("pk_invoice_lines")),
        *on_sqlite(
            sa.ForeignKeyConstraint(["document_id"], ["invoice_documents.id"], name=op.f("fk_invoice_lines_document_id"))
        ),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "invoices",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("biller", sa.Text(), server_default="", nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.Text(), server_default="", nullable=False),
        sa.Column("format", sa.Text(), server_default="", nullable=False),
        sa.Column("file", sa.Text(), server_default="", nullable=False),
        sa.Column("grain", sa.Text(), server_default="", nullable=False),
        sa.Column("routes", sa.Text(), server_default="", nullable=False),
        sa.Column("period_start", Int64, nullable=False),
        sa.Column("period_end", Int64, nullable=False),
        sa.Column("issued_at", Int64, nullable=False),
        sa.Column("unit_nano", Int64, nullable=False),
        sa.Column("lines", Int64, nullable=False),
        sa.Column("lines_nano", Int64, nullable=True),
        sa.Column("total_nano", Int64, nullable=True),
        sa.Column("supersedes_id", Int64, nullable=True),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("imported_at", Int64, nullable=False),
        sa.CheckConstraint(
            "grain IN ('request', 'session', 'day', 'model', 'provider', 'total')", name=op.f("ck_invoices_grain")
        ),
        sa.CheckConstraint("period_end > period_start", name=op.f("ck_invoices_period")),
        sa.CheckConstraint("unit_nano >= 1 AND lines >= 1", name=op.f("ck_invoices_counts")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_invoices_account_id")),
        sa.ForeignKeyConstraint(["id"], ["invoice_documents.id"], name=op.f("fk_invoices_id")),
        sa.ForeignKeyConstraint(["supersedes_id"], ["invoices.id"], name=op.f("fk_invoices_supersedes_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("supersedes_id", name=op.f("uq_invoices_supersedes_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_invoices_account_id_period_start"), "invoices", ["account_id", "period_start"])


def create_reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", Int64, nullable=False),
        sa.Column("invoice_id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("run_at", Int64, nullable=False),
        sa.Column("ours_nano", Int64, nullable=False),
        sa.Column("theirs_nano", Int64, nullable=False),
        sa.Column("requests", Int64, nullable=False),
        sa.Column("matched_requests", Int64, nullable=False),
        sa.Column("usage_nano", Int64, nullable=False),
        sa.Column("matched_nano", Int64, nullable=False),
        sa.Column("valued", Int64, nullable=False),
        sa.Column("tolerance_nano", Int64, nullable=False),
        sa.CheckConstraint("valued IN (0, 1)", name=op.f("ck_reconciliations_valued")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_reconciliations_account_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoices.id"], name=op.f("fk_reconciliations_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_reconciliations_account_id"), "reconciliations", ["account_id"])
    op.create_index(op.f("ix_reconciliations_invoice_id"), "reconciliations", ["invoice_id"])
    op.create_table(
        "variances",
        sa.Column("id", Int64, nullable=False),
        sa.Column("reconciliation_id", Int64, nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("basis", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("items", Int64, nullable=False),
        sa.Column("tolerated", Int64, nullable=False),
        sa.Column("alternatives", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("basis IN ('observed', 'inferred')", name=op.f("ck_variances_basis")),
        sa.CheckConstraint("items >= 0", name=op.f("ck_variances_items")),
        sa.CheckConstraint("tolerated IN (0, 1)", name=op.f("ck_variances_tolerated")),
        sa.ForeignKeyConstraint(["reconciliation_id"], ["reconciliations.id"], name=op.f("fk_variances_reconciliation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variances")),
        sa.UniqueConstraint(
            "reconciliation_id",
            "cause",
            "detail",
            "provider",
            "model",
            name=op.f("uq_variances_reconciliation_id_cause_detail_provider_model"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "variance_items",
        sa.Column("variance_id", Int64, nullable=False),
        sa.Column("number", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=True),
        sa.Column("position", Int64, nullable=True),
        sa.Column("ours_nano", Int64, nullable=True),
        sa.Column("theirs_nano", Int64, nullable=True),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.PrimaryKeyConstraint("variance_id", "number", name=op.f("pk_variance_items")),
        *on_sqlite(sa.ForeignKeyConstraint(["variance_id"], ["variances.id"], name=op.f("fk_variance_items_variance_id"))),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "variance_decisions",
        sa.Column("id", Int64, nullable=False),
        sa.Column("variance_id", Int64, nullable=False),
        sa.Column("state", sa.Text(), server_default="", nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_at", Int64, nullable=False),
        sa.Column("corrected_nano", Int64, nullable=False),
        sa.Column("adjustment", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'explained', 'accepted', 'disputed', 'resolved')", name=op.f("ck_variance_decisions_state")
        ),
        sa.CheckConstraint("who <> '' AND reason <> ''", name=op.f("ck_variance_decisions_said")),
        sa.ForeignKeyConstraint(["variance_id"], ["variances.id"], name=op.f("fk_variance_decisions_variance_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variance_decisions")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_variance_decisions_variance_id"), "variance_decisions", ["variance_id"])


def create_billing_answers() -> None:
    op.create_table(
        "billing_answers",
        sa.Column("request_key", Bytes16, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("cost_nano", Int64, nullable=False),
        sa.Column("answered_at", Int64, nullable=False),
        sa.CheckConstraint("cost_nano >= 0", name=op.f("ck_billing_answers_cost")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_billing_answers_account_id")),
        sa.PrimaryKeyConstraint("request_key", name=op.f("pk_billing_answers")),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )


def on_sqlite(constraint: sa.ForeignKeyConstraint) -> list[sa.ForeignKeyConstraint]:
    """Return the foreign key on SQLite only; ``metering verify`` checks the reference on both databases."""
    return [constraint] if op.get_bind().dialect.name == "sqlite" else []


def refuse_to_lose(table: str, what: str) -> None:
    if op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first():
        raise RuntimeError(f"cannot downgrade a database with {table} below revision 0014: it would lose {what}")

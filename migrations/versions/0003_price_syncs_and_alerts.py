"""Price syncs and alerts.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", Int64, nullable=False),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("period", sa.Text(), server_default="", nullable=False),
        sa.Column("threshold", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=True),
        sa.Column("occurred_at", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("data", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("type <> '' AND subject <> ''", name=op.f("ck_alerts_named")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_alerts_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("type", "subject", "period", "threshold", name=op.f("uq_alerts_type_subject_period_threshold")),
        sqlite_strict=True,
    )
    op.create_index("ix_alerts_account_id", "alerts", ["account_id"], unique=False)
    op.create_table(
        "price_syncs",
        sa.Column("id", Int64, nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("started_at", Int64, nullable=False),
        sa.Column("finished_at", Int64, nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("etag", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("table_id", Int64, nullable=True),
        sa.Column("decides", Int64, nullable=True),
        sa.Column("changes", sa.Text(), server_default="", nullable=False),
        sa.Column("reasons", sa.Text(), server_default="", nullable=False),
        sa.Column("held", sa.Text(), server_default="", nullable=False),
        sa.Column("error_code", sa.Text(), server_default="", nullable=False),
        sa.Column("error_message", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "outcome IN ('recorded', 'unchanged', 'held', 'accepted', 'superseded', 'failed')",
            name=op.f("ck_price_syncs_outcome"),
        ),
        sa.CheckConstraint(
            "(outcome IN ('accepted', 'superseded')) = (decides IS NOT NULL)", name=op.f("ck_price_syncs_decides")
        ),
        sa.CheckConstraint("(outcome IN ('recorded', 'accepted')) = (table_id IS NOT NULL)", name=op.f("ck_price_syncs_table")),
        sa.CheckConstraint("(outcome = 'held') = (held <> '')", name=op.f("ck_price_syncs_held")),
        sa.CheckConstraint("(outcome = 'failed') = (error_code <> '')", name=op.f("ck_price_syncs_error")),
        sa.CheckConstraint("finished_at >= started_at", name=op.f("ck_price_syncs_period")),
        sa.ForeignKeyConstraint(["decides"], ["price_syncs.id"], name=op.f("fk_price_syncs_decides")),
        sa.ForeignKeyConstraint(["table_id"], ["price_tables.id"], name=op.f("fk_price_syncs_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_syncs")),
        sa.UniqueConstraint("decides", name=op.f("uq_price_syncs_decides")),
        sqlite_strict=True,
    )
    op.create_index("ix_price_syncs_source_outcome", "price_syncs", ["source", "outcome"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_price_syncs_source_outcome", table_name="price_syncs")
    op.drop_table("price_syncs")
    op.drop_index("ix_alerts_account_id", table_name="alerts")
    op.drop_table("alerts")

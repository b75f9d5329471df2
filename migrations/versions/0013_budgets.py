"""Budgets with their revisions, and notes of the usage to evaluate.

Revision: 0013
Follows: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_budgets_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sqlite_strict=True,
    )
    op.create_index("ix_budgets_account_id", "budgets", ["account_id"], unique=False)
    op.create_table(
        "budget_revisions",
        sa.Column("id", Int64, nullable=False),
        sa.Column("budget_id", Int64, nullable=False),
        sa.Column("revision", Int64, nullable=False),
        sa.Column("archived", Int64, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("window", sa.Text(), server_default="", nullable=False),
        sa.Column("first_day", Int64, nullable=True),
        sa.Column("end_day", Int64, nullable=True),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("thresholds", sa.Text(), server_default="", nullable=False),
        sa.Column("forecast_percent", Int64, nullable=True),
        sa.Column("action", sa.Text(), server_default="", nullable=False),
        sa.Column("block_percent", Int64, nullable=True),
        sa.Column("basis", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_by", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("archived IN (0, 1)", name=op.f("ck_budget_revisions_archived")),
        sa.CheckConstraint("amount_nano > 0", name=op.f("ck_budget_revisions_amount")),
        sa.CheckConstraint(
            "\"window\" IN ('day', 'week', 'month', 'quarter', 'fixed')", name=op.f("ck_budget_revisions_window")
        ),
        sa.CheckConstraint(
            "(\"window\" = 'fixed') = (first_day IS NOT NULL) AND (first_day IS NULL) = (end_day IS NULL)",
            name=op.f("ck_budget_revisions_fixed_window"),
        ),
        sa.CheckConstraint("end_day > first_day", name=op.f("ck_budget_revisions_period")),
        sa.CheckConstraint("action IN ('notify', 'block')", name=op.f("ck_budget_revisions_action")),
        sa.CheckConstraint("(action = 'block') = (block_percent IS NOT NULL)", name=op.f("ck_budget_revisions_block")),
        sa.CheckConstraint("block_percent BETWEEN 1 AND 1000", name=op.f("ck_budget_revisions_block_percent")),
        sa.CheckConstraint("forecast_percent BETWEEN 1 AND 1000", name=op.f("ck_budget_revisions_forecast_percent")),
        sa.CheckConstraint("basis IN ('gross', 'after_credits')", name=op.f("ck_budget_revisions_basis")),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_budget_revisions_budget_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_revisions")),
        sa.UniqueConstraint("budget_id", "revision", name=op.f("uq_budget_revisions_budget_id_revision")),
        sqlite_strict=True,
    )
    op.create_table(
        "touched_days",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("event_day", Int64, nullable=False),
        sa.Column("unpriced", Int64, nullable=False),
        sa.CheckConstraint("unpriced IN (0, 1)", name=op.f("ck_touched_days_unpriced")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touched_days")),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hour_sums",
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("hour", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "hour", name=op.f("pk_hour_sums")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hour_sums_hour", "hour_sums", ["hour"], unique=False)
    op.create_table(
        "summed_hours",
        sa.Column("hour", Int64, autoincrement=False, nullable=False),
        sa.Column("summed_at", Int64, nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_summed_hours")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    refuse_to_lose(
        "budgets", "its budgets and their revisions, and their alerts would be taken for those of the budgets to come"
    )
    op.drop_table("summed_hours")
    op.drop_index("ix_hour_sums_hour", table_name="hour_sums")
    op.drop_table("hour_sums")
    op.drop_table("touched_days")
    op.drop_table("budget_revisions")
    op.drop_index("ix_budgets_account_id", table_name="budgets")
    op.drop_table("budgets")


def refuse_to_lose(table: str, what: str) -> None:
    if op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first():
        raise RuntimeError(f"cannot downgrade a database with {table} below revision 0013: it would lose {what}")

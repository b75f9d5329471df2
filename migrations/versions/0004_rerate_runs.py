"""Re-rating runs, and the run that wrote a charge.

On SQLite all charges are copied once, because it cannot add a named foreign key to an existing table.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

CHARGES = (
    "id", "event_id", "series_id", "sign", "amount_nano", "rate_id", "price_grade", "billing_month", "recorded_at", "reason",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "rerate_runs",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=True),
        sa.Column("period_start", Int64, nullable=False),
        sa.Column("period_end", Int64, nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("include_reported", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("newest_table_id", Int64, nullable=False),
        sa.Column("requested_at", Int64, nullable=False),
        sa.Column("finished_at", Int64, nullable=True),
        sa.Column("cursor_account_id", Int64, nullable=False),
        sa.Column("cursor_time", Int64, nullable=False),
        sa.Column("cursor_event_id", Int64, nullable=False),
        sa.Column("events_examined", Int64, nullable=False),
        sa.Column("events_changed", Int64, nullable=False),
        sa.Column("events_kept", Int64, nullable=False),
        sa.Column("before_nano", Int64, nullable=False),
        sa.Column("after_nano", Int64, nullable=False),
        sa.CheckConstraint("period_end > period_start", name=op.f("ck_rerate_runs_period")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_rerate_runs_reason")),
        sa.CheckConstraint("events_changed + events_kept <= events_examined", name=op.f("ck_rerate_runs_counts")),
        sa.CheckConstraint("include_reported IN (0, 1)", name=op.f("ck_rerate_runs_include_reported")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_rerate_runs_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rerate_runs")),
        sqlite_strict=True,
    )
    run_id = sa.Column("run_id", Int64, nullable=True)
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("charges", run_id)
        op.create_foreign_key(op.f("fk_charges_run_id"), "charges", "rerate_runs", ["run_id"], ["id"])
        return
    names_its_run = sa.ForeignKeyConstraint(["run_id"], ["rerate_runs.id"], name=op.f("fk_charges_run_id"))
    replace_charges(run_id, names_its_run)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_column("charges", "run_id")
    else:
        replace_charges()
    op.drop_table("rerate_runs")


def replace_charges(*extra: sa.schema.SchemaItem) -> None:
    """Replace the charges table with one that has different columns; its rows are kept."""
    op.create_table(
        "charges_replaced",
        sa.Column("id", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("sign", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("rate_id", Int64, nullable=True),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name=op.f("ck_charges_rated")),
        sa.CheckConstraint("amount_nano * sign >= 0", name=op.f("ck_charges_amount")),
        sa.CheckConstraint("sign IN (-1, 1)", name=op.f("ck_charges_sign")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_charges_event_id")),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_charges_rate_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_charges_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        *extra,
        sqlite_strict=True,
    )
    names = ", ".join(CHARGES)
    op.execute(f"INSERT INTO charges_replaced ({names}) SELECT {names} FROM charges")
    op.drop_table("charges")
    op.rename_table("charges_replaced", "charges")
    op.create_index("ix_charges_event_id", "charges", ["event_id"], unique=False)

"""Retired months: what was removed from the event log, and its sums.

A downgrade is refused once a month has been retired: nothing would explain its rollups.

Revision: 0010
Follows: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

KEY = ("series_id", "rate_id", "price_grade", "quantity_grade", "billable", "event_day", "billing_month")
SUMS = (
    "events", "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "input_audio_tokens", "output_audio_tokens", "input_image_tokens", "output_image_tokens", "images", "megapixels",
    "video_ms", "audio_ms", "compute_ms", "characters", "reasoning_tokens", "amount_nano",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "retired_months",
        sa.Column("id", Int64, nullable=False),
        *integers("month", "events", "copies", "charges", "last_id"),
        sa.Column("directory", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        *integers("retired_at"),
        sa.CheckConstraint("events >= 0 AND copies >= 0 AND charges >= 0", name=op.f("ck_retired_months_counts")),
        sa.CheckConstraint("(directory = '') = (digest = '')", name=op.f("ck_retired_months_exported")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retired_months")),
        sqlite_strict=True,
    )
    op.create_index("ix_retired_months_month", "retired_months", ["month"])
    op.create_table(
        "retired_rollups",
        *integers(*KEY, *SUMS),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_retired_rollups_series_id")),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_retired_rollups")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_retired_rollups_event_day", "retired_rollups", ["event_day"])
    op.create_table(
        "retired_claims",
        *integers("claim", "event_id", "account_id", "source_id", "event_time"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_retired_claims_account_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_retired_claims_source_id")),
        sa.PrimaryKeyConstraint("claim", "event_id", name=op.f("pk_retired_claims")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retired_runs",
        sa.Column("run_id", Int64, autoincrement=False, nullable=False),
        *integers("reversed", "replaced", "before_nano", "after_nano"),
        sa.ForeignKeyConstraint(["run_id"], ["rerate_runs.id"], name=op.f("fk_retired_runs_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_retired_runs")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM retired_months LIMIT 1")).first():
        raise RuntimeError(
            "cannot downgrade a database with retired months below revision 0010: nothing would explain their rollups"
        )
    for name in ("retired_runs", "retired_claims", "retired_rollups", "retired_months"):
        op.drop_table(name)


def integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, Int64, autoincrement=False, nullable=False) for name in names]

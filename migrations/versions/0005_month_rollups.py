"""Rollups by month in addition to those by day, computed once from the existing ones.

Revision: 0005
Follows: 0004
"""

from datetime import date

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

KEY = ("series_id", "rate_id", "price_grade", "quantity_grade", "billable")
SUMS = (
    "events",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "images",
    "megapixels",
    "video_ms",
    "audio_ms",
    "compute_ms",
    "characters",
    "reasoning_tokens",
    "amount_nano",
)


def upgrade() -> None:
    op.create_table(
        "month_rollups",
        *(sa.Column(name, Int64, nullable=False) for name in (*KEY, "event_month", "billing_month", *SUMS)),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_month_rollups_series_id")),
        sa.PrimaryKeyConstraint(*KEY, "event_month", "billing_month", name=op.f("pk_month_rollups")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_month_rollups_event_month", "month_rollups", ["event_month"], unique=False)
    op.create_index("ix_month_rollups_billing_month", "month_rollups", ["billing_month"], unique=False)
    days = op.get_bind().execute(sa.text("SELECT min(event_day), max(event_day) FROM rollups")).one()
    if days[0] is not None:
        add_up(days[0], days[1])


def downgrade() -> None:
    op.drop_table("month_rollups")


def add_up(first: int, last: int) -> None:
    """Sum the rollups of each month from day ``first`` to day ``last``, both counted from 1970."""
    epoch = date(1970, 1, 1).toordinal()
    start = date.fromordinal(epoch + first).replace(day=1)
    while start.toordinal() - epoch <= last:
        end = date(start.year + start.month // 12, start.month % 12 + 1, 1)
        op.execute(
            f"INSERT INTO month_rollups ({', '.join((*KEY, 'event_month', 'billing_month', *SUMS))})"
            f" SELECT {', '.join(KEY)}, {start.year * 100 + start.month}, billing_month,"
            f" {', '.join(f'sum({name})' for name in SUMS)} FROM rollups"
            f" WHERE event_day >= {start.toordinal() - epoch} AND event_day < {end.toordinal() - epoch}"
            f" GROUP BY {', '.join(KEY)}, billing_month"
        )
        start = end

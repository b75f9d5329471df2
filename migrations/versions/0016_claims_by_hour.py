"""Claims keyed by the hour of their events, on SQLite: current writes touch few pages, however large the log is.

Revision: 0016
Follows: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MICROS_PER_HOUR = 3_600_000_000


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_claims(
            "hour",
            "claim",
            "event_id",
            rows=f"SELECT event_time / {MICROS_PER_HOUR}, claim, event_id FROM event_claims JOIN events ON id = event_id",
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        replace_claims("claim", "event_id", rows="SELECT claim, event_id FROM event_claims")


def replace_claims(*columns: str, rows: str) -> None:
    """Recreate the table with all of its columns as its key."""
    op.create_table(
        "new_event_claims",
        *(sa.Column(name, Int64, nullable=False) for name in columns),
        sa.PrimaryKeyConstraint(*columns, name=op.f("pk_event_claims")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO new_event_claims {rows} ORDER BY {', '.join(map(str, range(1, len(columns) + 1)))}")
    op.drop_table("event_claims")
    op.rename_table("new_event_claims", "event_claims")

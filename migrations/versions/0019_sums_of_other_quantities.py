"""Sums of quantities without a column are stored as JSON, as on an event, so that a new kind needs no migration.

A downgrade is refused while there are such sums: the columns alone would not add up to the events.

Revision: 0019
Follows: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = ("rollups", "month_rollups", "retired_rollups")


def upgrade() -> None:
    for name in TABLES:
        op.add_column(name, sa.Column("other_quantities", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for name in TABLES:
        if op.get_bind().execute(sa.text(f"SELECT 1 FROM {name} WHERE other_quantities <> '' LIMIT 1")).first():
            raise RuntimeError(
                f"cannot downgrade below revision 0019: {name} has sums of quantities without a column, which would be lost"
            )
    for name in TABLES:
        op.drop_column(name, "other_quantities")

"""An index of the events that were unpriced when they arrived, so that looking for them does not read the whole log.

It holds no other event: one that is priced costs nothing to it. Making it reads the log once, and who writes events waits for
that long.

Revision: 0011
Follows: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ix_events_unpriced"


def upgrade() -> None:
    where = sa.text("price_grade = 2")
    op.create_index(op.f(NAME), "events", ["id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index(op.f(NAME), table_name="events")

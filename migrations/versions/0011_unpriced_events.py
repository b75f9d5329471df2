"""An index of the events that were unpriced on arrival, so that finding them does not read the whole log.

Priced events are not in it and cost nothing. Creating it reads the log once and blocks writes of events for that time.

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

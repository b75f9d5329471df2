"""Recent identities, on SQLite: a small table that takes writes of random keys before they are moved to the large one.

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Ignore a row whose identity has already settled, as the primary key does for identities in this table.
TRIGGER = """
CREATE TRIGGER recent_identities_have_not_settled BEFORE INSERT ON recent_identities
WHEN EXISTS (SELECT 1 FROM event_identities WHERE identity = NEW.identity)
BEGIN
    SELECT RAISE(IGNORE);
END
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_table(
        "recent_identities",
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("fingerprint", Int64, nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_recent_identities")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("INSERT INTO event_identities SELECT * FROM recent_identities ORDER BY identity")
    op.drop_table("recent_identities")

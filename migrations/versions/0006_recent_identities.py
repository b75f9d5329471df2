"""Identities that are recent, on SQLite: a small place to write random keys to before they settle.

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

# An identity that has settled is taken: a row that claims it again is passed over, as the primary key does with those beside it.
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

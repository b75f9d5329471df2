"""Events that arrived unassigned and were assigned to an account.

A downgrade is refused once an event has been assigned: nothing would explain why its charges are in that account.

Revision: 0017
Follows: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "assigned_events",
        sa.Column("event_id", Int64, autoincrement=False, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("counted_as", Int64, nullable=False),
        sa.Column("claims_identity", Int64, nullable=False),
        sa.Column("assigned_at", Int64, nullable=False),
        sa.CheckConstraint("claims_identity IN (0, 1)", name=op.f("ck_assigned_events_claims_identity")),
        sa.CheckConstraint("claims_identity = 1 OR counted_as <> event_id", name=op.f("ck_assigned_events_counted")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_assigned_events_account_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_assigned_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_assigned_events_account_id_event_time", "assigned_events", ["account_id", "event_time", "event_id"])


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM assigned_events LIMIT 1")).first():
        raise RuntimeError(
            "cannot downgrade a database with assigned events below revision 0017: it would lose the accounts they were assigned to"
        )
    op.drop_table("assigned_events")

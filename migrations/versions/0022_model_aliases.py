"""Model names of one's own.

Going down from here is refused once there are any: charges refer to the rates that they led to, and nothing would show why.

Revision: 0022
Follows: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "model_aliases",
        sa.Column("id", Int64, nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("valid_from", Int64, nullable=False),
        sa.Column("valid_until", Int64, nullable=True),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("removed_at", Int64, nullable=True),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_model_aliases_period")),
        sa.CheckConstraint("name <> model", name=op.f("ck_model_aliases_differs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_aliases")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM model_aliases LIMIT 1")).first():
        raise RuntimeError("there are model aliases; cannot go below revision 0022")
    op.drop_table("model_aliases")

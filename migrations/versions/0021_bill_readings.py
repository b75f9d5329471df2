"""Rows left out of an invoice, the reading of a pasted total, and adjustments of the total that credits do not pay for.

Going down from here is refused once a statement was adjusted by its total: credits would pay for it.

Revision: 0021
Follows: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("invoices", sa.Column("excluded_rows", sa.Text(), server_default="", nullable=False))
    op.add_column("reconciliations", sa.Column("reading", sa.Text(), server_default="", nullable=False))
    op.add_column("reconciliations", sa.Column("statement_nano", Int64, nullable=True))
    op.add_column("adjustments", sa.Column("adjusts", sa.Text(), server_default="usage", nullable=False))


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM adjustments WHERE adjusts <> 'usage' LIMIT 1")).first():
        raise RuntimeError("a database with adjusted totals cannot go below revision 0021: credits would pay for them")
    op.drop_column("adjustments", "adjusts")
    op.drop_column("reconciliations", "statement_nano")
    op.drop_column("reconciliations", "reading")
    op.drop_column("invoices", "excluded_rows")

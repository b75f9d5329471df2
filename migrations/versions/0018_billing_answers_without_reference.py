"""On PostgreSQL, billing answers have no foreign key to accounts: ``metering verify`` checks it, instead of every insert.

Revision: 0018
Follows: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAME = "fk_billing_answers_account_id"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(NAME), "billing_answers")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_foreign_key(op.f(NAME), "billing_answers", "accounts", ["account_id"], ["id"])

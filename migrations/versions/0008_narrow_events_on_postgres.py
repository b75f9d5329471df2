"""Numbers of the event log that never need 64 bits take 32 or 16 on PostgreSQL: a hundred bytes an event less.

PostgreSQL writes every month's partition anew, which takes about two seconds a million events, and nobody reads or writes the
log meanwhile. SQLite keeps a number in as many bytes as it needs: nothing happens there.

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INTEGERS = (
    "account_id", "series_id", "source_id", "input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens",
    "rate_id", "billing_month", "latency_ms",
)  # fmt: skip
SMALL = ("status", "quantity_grade", "price_grade")


def upgrade() -> None:
    retype({**dict.fromkeys(INTEGERS, sa.Integer()), **dict.fromkeys(SMALL, sa.SmallInteger())})


def downgrade() -> None:
    retype(dict.fromkeys((*INTEGERS, *SMALL), sa.BigInteger()))


def retype(types: dict[str, sa.types.TypeEngine]) -> None:
    """Give columns of the event log other types in one statement, so that each partition is written once."""
    if op.get_bind().dialect.name == "postgresql":
        changes = ", ".join(f"ALTER COLUMN {name} TYPE {kind.compile()}" for name, kind in types.items())
        op.execute(f"ALTER TABLE events {changes}")

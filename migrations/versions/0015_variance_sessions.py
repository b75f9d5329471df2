"""A variance of a session names the session.

A run has a handful of variances, so rewriting their table takes a moment.

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = ("reconciliation_id", "cause", "detail", "provider", "model")
BEFORE, AFTER = (f"uq_variances_{'_'.join(names)}" for names in (KEY, (*KEY, "session")))
COLUMNS = ("id", *KEY, "basis", "amount_nano", "items", "tolerated", "alternatives")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("variances", sa.Column("session", sa.Text(), server_default="", nullable=False))
        op.drop_constraint(op.f(BEFORE), "variances")
        op.create_unique_constraint(op.f(AFTER), "variances", [*KEY, "session"])
    else:
        replace_variances(
            sa.Column("session", sa.Text(), server_default="", nullable=False),
            sa.UniqueConstraint(*KEY, "session", name=op.f(AFTER)),
        )


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM variances WHERE session <> '' LIMIT 1")).first():
        raise RuntimeError(
            "cannot downgrade a database with variances of sessions below revision 0015: it would lose the names of the sessions"
        )
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(AFTER), "variances")
        op.drop_column("variances", "session")
        op.create_unique_constraint(op.f(BEFORE), "variances", list(KEY))
    else:
        replace_variances(sa.UniqueConstraint(*KEY, name=op.f(BEFORE)))


def replace_variances(*extra: sa.schema.SchemaItem) -> None:
    """Replace the variances table with one that has another key, because SQLite cannot drop one. Its rows are kept."""
    op.create_table(
        "variances_replaced",
        sa.Column("id", Int64, nullable=False),
        sa.Column("reconciliation_id", Int64, nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("basis", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("items", Int64, nullable=False),
        sa.Column("tolerated", Int64, nullable=False),
        sa.Column("alternatives", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("basis IN ('observed', 'inferred')", name=op.f("ck_variances_basis")),
        sa.CheckConstraint("items >= 0", name=op.f("ck_variances_items")),
        sa.CheckConstraint("tolerated IN (0, 1)", name=op.f("ck_variances_tolerated")),
        sa.ForeignKeyConstraint(["reconciliation_id"], ["reconciliations.id"], name=op.f("fk_variances_reconciliation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variances")),
        *extra,
        sqlite_strict=True,
    )
    names = ", ".join(COLUMNS)
    op.execute(f"INSERT INTO variances_replaced ({names}) SELECT {names} FROM variances")
    op.drop_table("variances")
    op.rename_table("variances_replaced", "variances")

"""Price tables with equal content can be recorded again, and discounts are stored as percentages.

The digest of a price table is no longer unique: a correction is undone by recording the earlier prices again. A downgrade keeps
every table, because charges refer to their rates: of tables with equal content the newest keeps its digest, and the others get
their id appended to it, which an upgrade removes again. A downgrade loses the percentages of discounts; the discounted prices
stay.

Discounts recorded before this revision exist as prices only. Record them again to make them follow changes of the base prices.

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = ("id", "source", "layer", "route", "account_id", "kind", "effective_from", "recorded_at", "digest")
DIGEST_LENGTH = 64
UNIQUE = "uq_price_tables_digest"


def upgrade() -> None:
    op.create_table(
        "price_discounts",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("share", Int64, nullable=False),
        sa.Column("effective_from", Int64, nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("share >= 0 AND share <= 1000000", name=op.f("ck_price_discounts_share")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_price_discounts_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_discounts")),
        sqlite_strict=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(UNIQUE), "price_tables", type_="unique")
    else:
        replace_tables()
    op.execute(f"UPDATE price_tables SET digest = substr(digest, 1, {DIGEST_LENGTH}) WHERE length(digest) > {DIGEST_LENGTH}")


def downgrade() -> None:
    op.execute(
        "UPDATE price_tables SET digest = digest || ' ' || id WHERE EXISTS ("
        "SELECT 1 FROM price_tables AS newer WHERE newer.digest = price_tables.digest AND newer.id > price_tables.id)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_unique_constraint(op.f(UNIQUE), "price_tables", ["digest"])
    else:
        replace_tables(sa.UniqueConstraint("digest", name=op.f(UNIQUE)))
    op.drop_table("price_discounts")


def replace_tables(*extra: sa.schema.SchemaItem) -> None:
    """Replace the price tables with ones that have other constraints, because SQLite cannot drop one. Their rows are kept."""
    op.create_table(
        "price_tables_replaced",
        sa.Column("id", Int64, nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("layer", Int64, nullable=False),
        sa.Column("route", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", Int64, nullable=True),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("effective_from", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('snapshot', 'patch')", name=op.f("ck_price_tables_kind")),
        sa.CheckConstraint("(layer = 0) = (account_id IS NOT NULL)", name=op.f("ck_price_tables_account")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_price_tables_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_tables")),
        *extra,
        sqlite_strict=True,
    )
    names = ", ".join(TABLES)
    op.execute(f"INSERT INTO price_tables_replaced ({names}) SELECT {names} FROM price_tables")
    op.drop_table("price_tables")
    op.rename_table("price_tables_replaced", "price_tables")

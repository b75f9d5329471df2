"""Price tables, append-only, with the rates that charges refer to, and discounts.

A digest identifies the content of a table. It is not unique: a table that a later one corrected can be recorded again.
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, Text, UniqueConstraint
from sqlalchemy import Column as Col

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

price_tables = table(
    "price_tables",
    identifier(),
    text("source"),
    integer("layer"),
    text("route"),
    foreign_key("account_id", "accounts", null=True),
    text("kind"),
    integer("effective_from"),
    integer("recorded_at"),
    Col("digest", Text, nullable=False),
    CheckConstraint("kind IN ('snapshot', 'patch')", name="kind"),
    CheckConstraint("(layer = 0) = (account_id IS NOT NULL)", name="account"),
)

rates = table(
    "rates",
    identifier(),
    foreign_key("table_id", "price_tables"),
    text("provider"),
    text("model"),
    text("operation"),
    integer("context_from"),
    text("source"),
    UniqueConstraint("table_id", "provider", "model", "operation", "context_from"),
    Index("ix_rates_provider_model", "provider", "model"),
)

# Integer pico-USD per block of units: 1 token, 1,000 or 3,600,000 ms.
rate_prices = table(
    "rate_prices",
    foreign_key("rate_id", "rates"),
    text("quantity"),
    integer("price_pico"),
    integer("block"),
    PrimaryKeyConstraint("rate_id", "quantity"),
    CheckConstraint("price_pico >= 0", name="price"),
    CheckConstraint("block >= 1", name="block"),
    sqlite_with_rowid=False,
)

# Discounts; the price tables of source `discount` are expanded from them. A share is in millionths. The last row applies.
price_discounts = table(
    "price_discounts",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("share"),
    integer("effective_from"),
    text("provider", null=True),
    text("model", null=True),
    integer("recorded_at"),
    CheckConstraint("share >= 0 AND share <= 1000000", name="share"),
)

# Model names of one's own. Rows are kept: one that is removed counts no more from then on.
model_aliases = table(
    "model_aliases",
    identifier(),
    text("provider"),
    text("name"),
    text("model"),
    integer("valid_from"),
    integer("valid_until", null=True),
    integer("created_at"),
    integer("removed_at", null=True),
    CheckConstraint("valid_until > valid_from", name="period"),
    CheckConstraint("name <> model", name="differs"),
)

rate_withdrawals = table(
    "rate_withdrawals",
    Col("table_id", integer("table_id").type, ForeignKey("price_tables.id"), nullable=False),
    text("provider"),
    text("model"),
    text("operation"),
    PrimaryKeyConstraint("table_id", "provider", "model", "operation"),
    sqlite_with_rowid=False,
)

"""Credits that were given or bought, and each append-only movement of them."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

credit_grants = table(
    "credit_grants",
    identifier(),
    foreign_key("account_id", "accounts"),
    text("kind"),
    integer("amount_nano"),
    integer("granted_at"),
    integer("expires_at", null=True),
    text("reference"),
    # What it can be spent on: inference alone, or any Hugging Face compute.
    text("scope"),
    # The same reference again is the same purchase: a repeated command grants nothing twice.
    UniqueConstraint("account_id", "reference"),
    CheckConstraint("kind IN ('included', 'purchased', 'promotional', 'manual')", name="kind"),
    CheckConstraint("scope IN ('inference', 'any_compute')", name="scope"),
    CheckConstraint("amount_nano > 0", name="amount"),
)

# The ledger. What is left of a grant is the sum of its entries; an entry of no grant is an input: included credit of
# ``usage_month`` that was spent on other Hugging Face compute.
credit_entries = table(
    "credit_entries",
    identifier(),
    foreign_key("account_id", "accounts"),
    foreign_key("grant_id", "credit_grants", null=True),
    text("kind"),
    integer("amount_nano"),
    # The statement on which it stands, or the month in which it was written where it stands on none.
    integer("billing_month"),
    text("reason"),
    integer("recorded_at"),
    # The month whose usage it pays, or whose credit it is.
    integer("usage_month"),
    CheckConstraint("kind IN ('grant', 'apply', 'expire', 'void', 'restore', 'used_elsewhere')", name="kind"),
    CheckConstraint("kind NOT IN ('grant', 'restore') OR amount_nano > 0", name="gives"),
    CheckConstraint("kind NOT IN ('apply', 'void') OR amount_nano < 0", name="takes"),
    CheckConstraint("kind = 'used_elsewhere' OR grant_id IS NOT NULL", name="granted"),
    Index("ix_credit_entries_account_id_billing_month", "account_id", "billing_month"),
    Index("ix_credit_entries_grant_id", "grant_id"),
)

"""Credit grants and the append-only ledger of their entries."""

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
    # What it can pay for: inference only, or any Hugging Face compute.
    text("scope"),
    # A repeated command grants nothing twice.
    UniqueConstraint("account_id", "reference"),
    CheckConstraint("kind IN ('included', 'purchased', 'promotional', 'manual')", name="kind"),
    CheckConstraint("scope IN ('inference', 'any_compute')", name="scope"),
    CheckConstraint("amount_nano > 0", name="amount"),
)

# The ledger. The balance of a grant is the sum of its entries. An entry without a grant is an input: included credits of
# ``usage_month`` that were spent on other Hugging Face compute.
credit_entries = table(
    "credit_entries",
    identifier(),
    foreign_key("account_id", "accounts"),
    foreign_key("grant_id", "credit_grants", null=True),
    text("kind"),
    integer("amount_nano"),
    # The statement that shows it; if none does, the month it was written in.
    integer("billing_month"),
    text("reason"),
    integer("recorded_at"),
    # The month of the usage it pays for, or of the included credits.
    integer("usage_month"),
    CheckConstraint("kind IN ('grant', 'apply', 'expire', 'void', 'restore', 'used_elsewhere')", name="kind"),
    CheckConstraint("kind NOT IN ('grant', 'restore') OR amount_nano > 0", name="gives"),
    CheckConstraint("kind NOT IN ('apply', 'void') OR amount_nano < 0", name="takes"),
    CheckConstraint("kind = 'used_elsewhere' OR grant_id IS NOT NULL", name="granted"),
    Index("ix_credit_entries_account_id_billing_month", "account_id", "billing_month"),
    Index("ix_credit_entries_grant_id", "grant_id"),
)

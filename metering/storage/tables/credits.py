"""Credits that were given or bought, and each append-only movement of them."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from metering.storage.tables.schema import identifier, integer, refers, table, text

credit_grants = table(
    "credit_grants",
    identifier(),
    refers("account_id", "accounts"),
    text("kind"),
    integer("amount_nano"),
    integer("granted_at"),
    integer("expires_at", null=True),
    text("reference"),
    # The same reference again is the same purchase: a repeated command grants nothing twice.
    UniqueConstraint("account_id", "reference"),
    CheckConstraint("kind IN ('purchased', 'promotional')", name="kind"),
    CheckConstraint("amount_nano > 0", name="amount"),
)

# Movements that no event explains: included credit that was spent on other Hugging Face compute.
credit_entries = table(
    "credit_entries",
    identifier(),
    refers("account_id", "accounts"),
    refers("grant_id", "credit_grants", null=True),
    text("kind"),
    integer("amount_nano"),
    integer("billing_month"),
    text("reason"),
    integer("recorded_at"),
    CheckConstraint("kind IN ('used_elsewhere')", name="kind"),
    Index("ix_credit_entries_account_id_billing_month", "account_id", "billing_month"),
)

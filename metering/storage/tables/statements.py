"""Closed statements and adjustments."""

from sqlalchemy import CheckConstraint, UniqueConstraint

from metering.storage.tables.schema import foreign_key, identifier, integer, table, text

# Never changed: ``content`` is the canonical form, ``digest`` its SHA-256 in hex.
statements = table(
    "statements",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("month"),
    integer("closed_at"),
    text("content"),
    text("digest"),
    integer("total_cents"),
    # What the next statement starts with: zero or negative.
    integer("carried_cents"),
    # The last charge and credit entry when it was closed: later ones are not on it.
    integer("last_charge_id"),
    integer("last_entry_id"),
    UniqueConstraint("account_id", "month"),
    CheckConstraint("total_cents >= 0 AND carried_cents <= 0", name="signs"),
    CheckConstraint("total_cents = 0 OR carried_cents = 0", name="carried"),
    CheckConstraint("length(digest) = 64", name="digest"),
)

# Amounts without an event about ``origin_month``, on the statement of ``billing_month``.
adjustments = table(
    "adjustments",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("billing_month"),
    integer("origin_month"),
    integer("amount_nano"),
    text("reason"),
    text("reference"),
    integer("recorded_at"),
    # Credits pay for adjustments of usage, and not for those of the total.
    text("adjusts", default="usage"),
    # Recording the same reference again changes nothing.
    UniqueConstraint("account_id", "reference"),
    CheckConstraint("amount_nano <> 0", name="amount"),
    CheckConstraint("reason <> '' AND reference <> ''", name="told"),
    CheckConstraint("billing_month >= origin_month", name="months"),
)

"""Who is billed, under which names, on which plan, and who may ask."""

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy import Column as Col
from sqlalchemy import text as sql

from metering.storage.tables.schema import flag, foreign_key, identifier, integer, table, text

_STILL = sql("valid_to IS NULL")

accounts = table(
    "accounts",
    identifier(),
    # How the account's requests are routed where a record does not say; empty: unknown.
    text("default_route"),
    integer("created_at"),
    # When events of it were first stored, and the last month (YYYYMM) that is closed; NULL: not yet.
    integer("first_ingest_at", null=True),
    integer("closed_through", null=True),
    CheckConstraint("default_route IN ('', 'routed', 'provider_key', 'serverless')", name="default_route"),
)

# Names change hands; an account never does. A name belongs to one account from ``valid_from`` until ``valid_to``.
account_names = table(
    "account_names",
    identifier(),
    text("name"),
    foreign_key("account_id", "accounts"),
    integer("valid_from"),
    integer("valid_to", null=True),
    UniqueConstraint("name", "valid_from"),
    CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="period"),
    CheckConstraint("name <> ''", name="name"),
    Index("ix_account_names_account_id", "account_id"),
    Index("uq_account_names_current", "name", unique=True, sqlite_where=_STILL, postgresql_where=_STILL),
)

# Append-only; of two changes on the same day the later row holds.
plan_changes = table(
    "plan_changes",
    identifier(),
    foreign_key("account_id", "accounts"),
    integer("effective_day"),
    text("plan"),
    integer("seats"),
    integer("recorded_at"),
    CheckConstraint("seats >= 1", name="seats"),
    Index("ix_plan_changes_account_id_effective_day", "account_id", "effective_day"),
)

api_keys = table(
    "api_keys",
    identifier(),
    text("prefix"),
    Col("secret_hash", LargeBinary, nullable=False),
    text("name"),
    foreign_key("account_id", "accounts", null=True),
    text("scopes"),
    flag("creates_accounts"),
    integer("created_at"),
    integer("revoked_at", null=True),
    UniqueConstraint("prefix"),
)

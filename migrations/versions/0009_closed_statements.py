"""Closed months: statements, adjustments and a credit ledger.

Accounts get their last closed month and the time of their first ingest. For accounts that already have events, that is the time
of the newest ingest in the database, so that no month closes too early. Existing grants get their ledger entries.

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LATER = "_replaced"

GRANT = ("id", "account_id", "kind", "amount_nano", "granted_at", "expires_at", "reference")
ENTRY = ("id", "account_id", "grant_id", "kind", "amount_nano", "billing_month", "reason", "recorded_at")
KINDS_BEFORE = {
    "credit_grants": "kind IN ('purchased', 'promotional')",
    "credit_entries": "kind IN ('used_elsewhere')",
}
KINDS = {
    "credit_grants": "kind IN ('included', 'purchased', 'promotional', 'manual')",
    "credit_entries": "kind IN ('grant', 'apply', 'expire', 'void', 'restore', 'used_elsewhere')",
}
CHECKS = {
    "credit_grants": (("scope", "scope IN ('inference', 'any_compute')"),),
    "credit_entries": (
        ("gives", "kind NOT IN ('grant', 'restore') OR amount_nano > 0"),
        ("takes", "kind NOT IN ('apply', 'void') OR amount_nano < 0"),
        ("granted", "kind = 'used_elsewhere' OR grant_id IS NOT NULL"),
    ),
}
LOST_BELOW = {
    "closed statements": "statements",
    "adjustments": "adjustments",
    "credits that were taken back": "credit_entries WHERE kind = 'void'",
}
BY_MONTH = "ix_credit_entries_account_id_billing_month"
# The month of an instant in microseconds, as YYYYMM.
MONTH_OF = {
    "sqlite": "CAST(strftime('%Y%m', granted_at / 1000000, 'unixepoch') AS INTEGER)",
    "postgresql": "CAST(to_char(to_timestamp(granted_at / 1000000) AT TIME ZONE 'UTC', 'YYYYMM') AS BIGINT)",
}


def upgrade() -> None:
    op.add_column("accounts", sa.Column("first_ingest_at", Int64, nullable=True))
    op.add_column("accounts", sa.Column("closed_through", Int64, nullable=True))
    op.execute(
        "UPDATE accounts SET first_ingest_at = (SELECT max(received_at) FROM receipts) WHERE EXISTS ("
        "SELECT 1 FROM series JOIN month_rollups ON month_rollups.series_id = series.id WHERE series.account_id = accounts.id)"
    )
    create_statements()
    create_adjustments()
    if op.get_bind().dialect.name == "postgresql":
        extend_credits()
    else:
        replace_credits(KINDS, extended=True)
    op.create_index(op.f("ix_credit_entries_grant_id"), "credit_entries", ["grant_id"])
    month = MONTH_OF[op.get_bind().dialect.name]
    op.execute(
        "INSERT INTO credit_entries (account_id, grant_id, kind, amount_nano, billing_month, reason, recorded_at, usage_month)"
        f" SELECT account_id, id, 'grant', amount_nano, {month}, reference, granted_at, {month} FROM credit_grants ORDER BY id"
    )


def downgrade() -> None:
    for what, rows in LOST_BELOW.items():
        if op.get_bind().execute(sa.text(f"SELECT 1 FROM {rows} LIMIT 1")).first():
            raise RuntimeError(f"cannot downgrade a database with {what} below revision 0009, which cannot store them")
    op.drop_index(op.f("ix_credit_entries_grant_id"), "credit_entries")
    op.execute("DELETE FROM credit_entries WHERE grant_id IS NOT NULL")
    op.execute("UPDATE credit_grants SET kind = 'promotional' WHERE kind = 'manual'")
    if op.get_bind().dialect.name == "postgresql":
        reduce_credits()
    else:
        replace_credits(KINDS_BEFORE, extended=False)
    op.drop_table("adjustments")
    op.drop_table("statements")
    op.drop_column("accounts", "closed_through")
    op.drop_column("accounts", "first_ingest_at")


def create_statements() -> None:
    op.create_table(
        "statements",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("month", Int64, nullable=False),
        sa.Column("closed_at", Int64, nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("total_cents", Int64, nullable=False),
        sa.Column("carried_cents", Int64, nullable=False),
        sa.Column("last_charge_id", Int64, nullable=False),
        sa.Column("last_entry_id", Int64, nullable=False),
        sa.CheckConstraint("total_cents >= 0 AND carried_cents <= 0", name=op.f("ck_statements_signs")),
        sa.CheckConstraint("total_cents = 0 OR carried_cents = 0", name=op.f("ck_statements_carried")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_statements_digest")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_statements_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sa.UniqueConstraint("account_id", "month", name=op.f("uq_statements_account_id_month")),
        sqlite_strict=True,
    )


def create_adjustments() -> None:
    op.create_table(
        "adjustments",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("origin_month", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("amount_nano <> 0", name=op.f("ck_adjustments_amount")),
        sa.CheckConstraint("reason <> '' AND reference <> ''", name=op.f("ck_adjustments_told")),
        sa.CheckConstraint("billing_month >= origin_month", name=op.f("ck_adjustments_months")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_adjustments_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
        sa.UniqueConstraint("account_id", "reference", name=op.f("uq_adjustments_account_id_reference")),
        sqlite_strict=True,
    )


def extend_credits() -> None:
    """On PostgreSQL, add columns and constraints to the existing tables, which have few rows."""
    op.add_column("credit_grants", sa.Column("scope", sa.Text(), server_default="", nullable=False))
    op.execute("UPDATE credit_grants SET scope = 'inference'")
    op.add_column("credit_entries", sa.Column("usage_month", Int64, nullable=True))
    op.execute("UPDATE credit_entries SET usage_month = billing_month")
    op.alter_column("credit_entries", "usage_month", nullable=False)
    for name, kinds in KINDS.items():
        op.drop_constraint(op.f(f"ck_{name}_kind"), name)
        for check, condition in (("kind", kinds), *CHECKS[name]):
            op.create_check_constraint(op.f(f"ck_{name}_{check}"), name, condition)


def reduce_credits() -> None:
    for name, kinds in KINDS_BEFORE.items():
        for check in ("kind", *(check for check, _ in CHECKS[name])):
            op.drop_constraint(op.f(f"ck_{name}_{check}"), name)
        op.create_check_constraint(op.f(f"ck_{name}_kind"), name, kinds)
    op.drop_column("credit_entries", "usage_month")
    op.drop_column("credit_grants", "scope")


def replace_credits(kinds: dict[str, str], *, extended: bool) -> None:
    """Replace the tables with ones that have other constraints, because SQLite cannot drop one. Their rows are kept."""
    create_grants(kinds["credit_grants"], extended=extended)
    create_entries(kinds["credit_entries"], extended=extended)
    of_grants = (*GRANT, "scope") if extended else GRANT
    of_entries = (*ENTRY, "usage_month") if extended else ENTRY
    for name, columns, values in (
        ("credit_grants", of_grants, (*GRANT, "'inference'") if extended else GRANT),
        ("credit_entries", of_entries, (*ENTRY, "billing_month") if extended else ENTRY),
    ):
        op.execute(f"INSERT INTO {name}{LATER} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {name}")
    op.drop_index(op.f(BY_MONTH), "credit_entries")
    op.drop_table("credit_entries")
    op.drop_table("credit_grants")
    op.rename_table(f"credit_grants{LATER}", "credit_grants")
    op.rename_table(f"credit_entries{LATER}", "credit_entries")
    op.create_index(op.f(BY_MONTH), "credit_entries", ["account_id", "billing_month"])


def create_grants(kinds: str, *, extended: bool) -> None:
    name = "credit_grants"
    op.create_table(
        f"{name}{LATER}",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("granted_at", Int64, nullable=False),
        sa.Column("expires_at", Int64, nullable=True),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        *([sa.Column("scope", sa.Text(), server_default="", nullable=False)] if extended else []),
        sa.CheckConstraint(kinds, name=op.f(f"ck_{name}_kind")),
        sa.CheckConstraint("amount_nano > 0", name=op.f(f"ck_{name}_amount")),
        *checks(name, extended=extended),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{name}_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("account_id", "reference", name=op.f(f"uq_{name}_account_id_reference")),
        sqlite_strict=True,
    )


def create_entries(kinds: str, *, extended: bool) -> None:
    name = "credit_entries"
    op.create_table(
        f"{name}{LATER}",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("grant_id", Int64, nullable=True),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        *([sa.Column("usage_month", Int64, nullable=False)] if extended else []),
        sa.CheckConstraint(kinds, name=op.f(f"ck_{name}_kind")),
        *checks(name, extended=extended),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{name}_account_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["credit_grants.id"], name=op.f(f"fk_{name}_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_strict=True,
    )


def checks(name: str, *, extended: bool) -> list[sa.CheckConstraint]:
    """Return the constraints that only this revision has."""
    return [sa.CheckConstraint(condition, name=op.f(f"ck_{name}_{check}")) for check, condition in CHECKS[name] if extended]

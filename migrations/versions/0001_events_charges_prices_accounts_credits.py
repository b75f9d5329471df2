"""Events, charges, prices, accounts, credits.

Revision: 0001
Follows: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Int64, nullable=False),
        sa.Column("default_route", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.CheckConstraint(
            "default_route IN ('', 'routed', 'provider_key', 'serverless')", name=op.f("ck_accounts_default_route")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sqlite_strict=True,
    )
    op.create_table(
        "event_claims",
        sa.Column("claim", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.PrimaryKeyConstraint("claim", "event_id", name=op.f("pk_event_claims")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_identities",
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("fingerprint", Int64, nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_event_identities")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", Int64, nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("file", sa.Text(), server_default="", nullable=False),
        sa.Column("line", Int64, nullable=False),
        sa.Column("offset", Int64, nullable=False),
        sa.Column("length", Int64, nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("field", sa.Text(), server_default="", nullable=False),
        sa.Column("kept", sa.Text(), server_default="", nullable=False),
        sa.Column("options", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("seen_at", Int64, nullable=False),
        sa.Column("resolved_at", Int64, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("source", "file", "offset", "digest", name=op.f("uq_quarantine_source_file_offset_digest")),
        sqlite_strict=True,
    )
    op.create_table(
        "sources",
        sa.Column("id", Int64, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "account_names",
        sa.Column("id", Int64, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("valid_from", Int64, nullable=False),
        sa.Column("valid_to", Int64, nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_account_names_name")),
        sa.CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_account_names_period")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_names_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_names")),
        sa.UniqueConstraint("name", "valid_from", name=op.f("uq_account_names_name_valid_from")),
        sqlite_strict=True,
    )
    op.create_index("ix_account_names_account_id", "account_names", ["account_id"], unique=False)
    op.create_index(
        "uq_account_names_current", "account_names", ["name"], unique=True, sqlite_where=sa.text("valid_to IS NULL")
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Int64, nullable=False),
        sa.Column("prefix", sa.Text(), server_default="", nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", Int64, nullable=True),
        sa.Column("scopes", sa.Text(), server_default="", nullable=False),
        sa.Column("creates_accounts", Int64, nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("revoked_at", Int64, nullable=True),
        sa.CheckConstraint("creates_accounts IN (0, 1)", name=op.f("ck_api_keys_creates_accounts")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
        sqlite_strict=True,
    )
    op.create_table(
        "credit_grants",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("granted_at", Int64, nullable=False),
        sa.Column("expires_at", Int64, nullable=True),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('purchased', 'promotional')", name=op.f("ck_credit_grants_kind")),
        sa.CheckConstraint("amount_nano > 0", name=op.f("ck_credit_grants_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_credit_grants_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_grants")),
        sa.UniqueConstraint("account_id", "reference", name=op.f("uq_credit_grants_account_id_reference")),
        sqlite_strict=True,
    )
    op.create_table(
        "event_conflicts",
        sa.Column("id", Int64, nullable=False),
        sa.Column("identity", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("source_id", Int64, nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("received_at", Int64, nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_event_conflicts_account_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_event_conflicts_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_conflicts")),
        sa.UniqueConstraint("identity", "fingerprint", name=op.f("uq_event_conflicts_identity_fingerprint")),
        sqlite_strict=True,
    )
    op.create_table(
        "plan_changes",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("effective_day", Int64, nullable=False),
        sa.Column("plan", sa.Text(), server_default="", nullable=False),
        sa.Column("seats", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("seats >= 1", name=op.f("ck_plan_changes_seats")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_plan_changes_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_changes")),
        sqlite_strict=True,
    )
    op.create_index("ix_plan_changes_account_id_effective_day", "plan_changes", ["account_id", "effective_day"], unique=False)
    op.create_table(
        "price_tables",
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
        sa.UniqueConstraint("digest", name=op.f("uq_price_tables_digest")),
        sqlite_strict=True,
    )
    op.create_table(
        "series",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("operation", sa.Text(), server_default="", nullable=False),
        sa.Column("route", sa.Text(), server_default="", nullable=False),
        sa.Column("project", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("route IN ('routed', 'provider_key', 'serverless', 'unknown')", name=op.f("ck_series_route")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_series_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "account_id",
            "provider",
            "model",
            "operation",
            "route",
            "project",
            "key",
            "tags",
            name=op.f("uq_series_account_id_provider_model_operation_route_project_key_tags"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "credit_entries",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("grant_id", Int64, nullable=True),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.CheckConstraint("kind IN ('used_elsewhere')", name=op.f("ck_credit_entries_kind")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_credit_entries_account_id")),
        sa.ForeignKeyConstraint(["grant_id"], ["credit_grants.id"], name=op.f("fk_credit_entries_grant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_entries")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_credit_entries_account_id_billing_month", "credit_entries", ["account_id", "billing_month"], unique=False
    )
    op.create_table(
        "rate_withdrawals",
        sa.Column("table_id", Int64, nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("operation", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["table_id"], ["price_tables.id"], name=op.f("fk_rate_withdrawals_table_id")),
        sa.PrimaryKeyConstraint("table_id", "provider", "model", "operation", name=op.f("pk_rate_withdrawals")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rates",
        sa.Column("id", Int64, nullable=False),
        sa.Column("table_id", Int64, nullable=False),
        sa.Column("provider", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("operation", sa.Text(), server_default="", nullable=False),
        sa.Column("context_from", Int64, nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["table_id"], ["price_tables.id"], name=op.f("fk_rates_table_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
        sa.UniqueConstraint(
            "table_id",
            "provider",
            "model",
            "operation",
            "context_from",
            name=op.f("uq_rates_table_id_provider_model_operation_context_from"),
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_rates_provider_model", "rates", ["provider", "model"], unique=False)
    op.create_table(
        "rollups",
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("rate_id", Int64, nullable=False),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("quantity_grade", Int64, nullable=False),
        sa.Column("billable", Int64, nullable=False),
        sa.Column("event_day", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("events", Int64, nullable=False),
        sa.Column("input_tokens", Int64, nullable=False),
        sa.Column("cache_read_tokens", Int64, nullable=False),
        sa.Column("cache_write_tokens", Int64, nullable=False),
        sa.Column("cache_write_1h_tokens", Int64, nullable=False),
        sa.Column("output_tokens", Int64, nullable=False),
        sa.Column("input_audio_tokens", Int64, nullable=False),
        sa.Column("output_audio_tokens", Int64, nullable=False),
        sa.Column("input_image_tokens", Int64, nullable=False),
        sa.Column("output_image_tokens", Int64, nullable=False),
        sa.Column("images", Int64, nullable=False),
        sa.Column("megapixels", Int64, nullable=False),
        sa.Column("video_ms", Int64, nullable=False),
        sa.Column("audio_ms", Int64, nullable=False),
        sa.Column("compute_ms", Int64, nullable=False),
        sa.Column("characters", Int64, nullable=False),
        sa.Column("reasoning_tokens", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_rollups_series_id")),
        sa.PrimaryKeyConstraint(
            "series_id",
            "rate_id",
            "price_grade",
            "quantity_grade",
            "billable",
            "event_day",
            "billing_month",
            name=op.f("pk_rollups"),
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rollups_billing_month", "rollups", ["billing_month"], unique=False)
    op.create_index("ix_rollups_event_day", "rollups", ["event_day"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("source_id", Int64, nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("time_derived", Int64, nullable=False),
        sa.Column("received_at", Int64, nullable=False),
        sa.Column("status", Int64, nullable=True),
        sa.Column("billable", Int64, nullable=False),
        sa.Column("quantity_grade", Int64, nullable=False),
        sa.Column("input_tokens", Int64, nullable=False),
        sa.Column("cache_read_tokens", Int64, nullable=False),
        sa.Column("cache_write_tokens", Int64, nullable=False),
        sa.Column("cache_write_1h_tokens", Int64, nullable=False),
        sa.Column("output_tokens", Int64, nullable=False),
        sa.Column("input_audio_tokens", Int64, nullable=False),
        sa.Column("output_audio_tokens", Int64, nullable=False),
        sa.Column("input_image_tokens", Int64, nullable=False),
        sa.Column("output_image_tokens", Int64, nullable=False),
        sa.Column("images", Int64, nullable=False),
        sa.Column("megapixels", Int64, nullable=False),
        sa.Column("video_ms", Int64, nullable=False),
        sa.Column("audio_ms", Int64, nullable=False),
        sa.Column("compute_ms", Int64, nullable=False),
        sa.Column("characters", Int64, nullable=False),
        sa.Column("reasoning_tokens", Int64, nullable=False),
        sa.Column("charge_nano", Int64, nullable=True),
        sa.Column("rate_id", Int64, nullable=True),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("cache_price_unknown", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("response_id", sa.Text(), server_default="", nullable=False),
        sa.Column("inference_id", sa.Text(), server_default="", nullable=False),
        sa.Column("latency_ms", Int64, nullable=True),
        sa.Column("details", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(charge_nano IS NULL) = (price_grade = 2)", name=op.f("ck_events_unpriced")),
        sa.CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name=op.f("ck_events_rated")),
        sa.CheckConstraint("billable IN (0, 1)", name=op.f("ck_events_billable")),
        sa.CheckConstraint("cache_price_unknown IN (0, 1)", name=op.f("ck_events_cache_price_unknown")),
        sa.CheckConstraint("charge_nano >= 0 AND charge_nano < 9007199254740992", name=op.f("ck_events_charge_bounds")),
        sa.CheckConstraint(
            "input_tokens >= 0 AND cache_read_tokens >= 0 AND cache_write_tokens >= 0 AND cache_write_1h_tokens >= 0 AND output_tokens >= 0 AND input_audio_tokens >= 0 AND output_audio_tokens >= 0 AND input_image_tokens >= 0 AND output_image_tokens >= 0 AND images >= 0 AND megapixels >= 0 AND video_ms >= 0 AND audio_ms >= 0 AND compute_ms >= 0 AND characters >= 0 AND reasoning_tokens >= 0",
            name=op.f("ck_events_quantities"),
        ),
        sa.CheckConstraint("time_derived IN (0, 1)", name=op.f("ck_events_time_derived")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_events_account_id")),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_events_rate_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_events_series_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_events_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_events_account_id_event_time", "events", ["account_id", "event_time"], unique=False)
    op.create_table(
        "rate_prices",
        sa.Column("rate_id", Int64, nullable=False),
        sa.Column("quantity", sa.Text(), server_default="", nullable=False),
        sa.Column("price_pico", Int64, nullable=False),
        sa.Column("block", Int64, nullable=False),
        sa.CheckConstraint("block >= 1", name=op.f("ck_rate_prices_block")),
        sa.CheckConstraint("price_pico >= 0", name=op.f("ck_rate_prices_price")),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_rate_prices_rate_id")),
        sa.PrimaryKeyConstraint("rate_id", "quantity", name=op.f("pk_rate_prices")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "charges",
        sa.Column("id", Int64, nullable=False),
        sa.Column("event_id", Int64, nullable=False),
        sa.Column("series_id", Int64, nullable=False),
        sa.Column("sign", Int64, nullable=False),
        sa.Column("amount_nano", Int64, nullable=False),
        sa.Column("rate_id", Int64, nullable=True),
        sa.Column("price_grade", Int64, nullable=False),
        sa.Column("billable", Int64, nullable=False),
        sa.Column("cache_price_unknown", Int64, nullable=False),
        sa.Column("billing_month", Int64, nullable=False),
        sa.Column("recorded_at", Int64, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(rate_id IS NOT NULL) = (price_grade = 0)", name=op.f("ck_charges_rated")),
        sa.CheckConstraint("amount_nano * sign >= 0", name=op.f("ck_charges_amount")),
        sa.CheckConstraint("billable IN (0, 1)", name=op.f("ck_charges_billable")),
        sa.CheckConstraint("cache_price_unknown IN (0, 1)", name=op.f("ck_charges_cache_price_unknown")),
        sa.CheckConstraint("sign IN (-1, 1)", name=op.f("ck_charges_sign")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_charges_event_id")),
        sa.ForeignKeyConstraint(["rate_id"], ["rates.id"], name=op.f("fk_charges_rate_id")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_charges_series_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sqlite_strict=True,
    )
    op.create_index("ix_charges_event_id", "charges", ["event_id"], unique=False)
    op.create_table(
        "event_copies",
        sa.Column("id", Int64, autoincrement=False, nullable=False),
        sa.Column("copy_of", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.Column("source_id", Int64, nullable=False),
        sa.Column("external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("event_time", Int64, nullable=False),
        sa.Column("received_at", Int64, nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_event_copies_account_id")),
        sa.ForeignKeyConstraint(["copy_of"], ["events.id"], name=op.f("fk_event_copies_copy_of")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_event_copies_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_copies")),
        sqlite_strict=True,
    )
    op.create_index("ix_event_copies_copy_of", "event_copies", ["copy_of"], unique=False)

    # Usage of undeclared accounts belongs to this account; the code relies on its id.
    op.execute("INSERT INTO accounts (id, default_route, created_at) VALUES (1, '', 0)")
    op.execute("INSERT INTO account_names (name, account_id, valid_from) VALUES ('unassigned', 1, 0)")


def downgrade() -> None:
    op.drop_index("ix_event_copies_copy_of", table_name="event_copies")
    op.drop_table("event_copies")
    op.drop_index("ix_charges_event_id", table_name="charges")
    op.drop_table("charges")
    op.drop_table("rate_prices")
    op.drop_index("ix_events_account_id_event_time", table_name="events")
    op.drop_table("events")
    op.drop_index("ix_rollups_event_day", table_name="rollups")
    op.drop_index("ix_rollups_billing_month", table_name="rollups")
    op.drop_table("rollups")
    op.drop_index("ix_rates_provider_model", table_name="rates")
    op.drop_table("rates")
    op.drop_table("rate_withdrawals")
    op.drop_index("ix_credit_entries_account_id_billing_month", table_name="credit_entries")
    op.drop_table("credit_entries")
    op.drop_table("series")
    op.drop_table("price_tables")
    op.drop_index("ix_plan_changes_account_id_effective_day", table_name="plan_changes")
    op.drop_table("plan_changes")
    op.drop_table("event_conflicts")
    op.drop_table("credit_grants")
    op.drop_table("api_keys")
    op.drop_index("uq_account_names_current", table_name="account_names", sqlite_where=sa.text("valid_to IS NULL"))
    op.drop_index("ix_account_names_account_id", table_name="account_names")
    op.drop_table("account_names")
    op.drop_table("sources")
    op.drop_table("quarantine")
    op.drop_table("event_identities")
    op.drop_table("event_claims")
    op.drop_table("accounts")

"""Webhooks: endpoints, their secrets, the outbox and its log.

Adds new tables only: no existing table is rewritten or locked.

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=True),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("shown_url", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("format", sa.Text(), server_default="", nullable=False),
        sa.Column("types", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("failing_since", Int64, nullable=True),
        sa.Column("disabled_at", Int64, nullable=True),
        sa.Column("disabled_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("deleted_at", Int64, nullable=True),
        sa.CheckConstraint("(disabled_at IS NULL) = (disabled_reason = '')", name=op.f("ck_webhook_endpoints_disabled")),
        sa.CheckConstraint(
            "disabled_reason IN ('', 'asked', 'gone', 'failing')",
            name=op.f("ck_webhook_endpoints_disabled_reason"),
        ),
        sa.CheckConstraint("format IN ('standard', 'slack')", name=op.f("ck_webhook_endpoints_format")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_webhook_endpoints_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sqlite_strict=True,
    )
    op.create_index("ix_webhook_endpoints_account_id", "webhook_endpoints", ["account_id"], unique=False)
    op.create_table(
        "webhook_endpoint_accounts",
        sa.Column("endpoint_id", Int64, nullable=False),
        sa.Column("account_id", Int64, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_webhook_endpoint_accounts_account_id")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_endpoint_accounts_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "account_id", name=op.f("pk_webhook_endpoint_accounts")),
        sqlite_strict=True,
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", Int64, nullable=False),
        sa.Column("endpoint_id", Int64, nullable=False),
        sa.Column("secret", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("expires_at", Int64, nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_secrets_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
        sqlite_strict=True,
    )
    op.create_index("ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id"], unique=False)
    op.create_table(
        "webhook_messages",
        sa.Column("id", Int64, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("alert_id", Int64, nullable=True),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("document", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_webhook_messages_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
        sa.UniqueConstraint("alert_id", name=op.f("uq_webhook_messages_alert_id")),
        sa.UniqueConstraint("name", name=op.f("uq_webhook_messages_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", Int64, nullable=False),
        sa.Column("endpoint_id", Int64, nullable=False),
        sa.Column("message_id", Int64, nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("tries", Int64, nullable=False),
        sa.Column("due_at", Int64, nullable=True),
        sa.Column("created_at", Int64, nullable=False),
        sa.Column("finished_at", Int64, nullable=True),
        sa.CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name=op.f("ck_webhook_deliveries_due")),
        sa.CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name=op.f("ck_webhook_deliveries_finished")),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed', 'held', 'cancelled')",
            name=op.f("ck_webhook_deliveries_status"),
        ),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")),
        sa.ForeignKeyConstraint(["message_id"], ["webhook_messages.id"], name=op.f("fk_webhook_deliveries_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("message_id", "endpoint_id", name=op.f("uq_webhook_deliveries_message_id_endpoint_id")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["endpoint_id", "due_at"],
        unique=False,
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
    op.create_index("ix_webhook_deliveries_endpoint_id_id", "webhook_deliveries", ["endpoint_id", "id"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("id", Int64, nullable=False),
        sa.Column("delivery_id", Int64, nullable=False),
        sa.Column("started_at", Int64, nullable=False),
        sa.Column("latency_ms", Int64, nullable=False),
        sa.Column("status_code", Int64, nullable=True),
        sa.Column("error_code", sa.Text(), server_default="", nullable=False),
        sa.Column("error_message", sa.Text(), server_default="", nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["webhook_deliveries.id"], name=op.f("fk_webhook_attempts_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
        sqlite_strict=True,
    )
    op.create_index("ix_webhook_attempts_delivery_id", "webhook_attempts", ["delivery_id"], unique=False)


def downgrade() -> None:
    refuse_to_lose("webhook_endpoints", "the endpoints, their secrets and their deliveries")
    op.drop_table("webhook_attempts")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_messages")
    op.drop_table("webhook_secrets")
    op.drop_table("webhook_endpoint_accounts")
    op.drop_table("webhook_endpoints")


def refuse_to_lose(table: str, what: str) -> None:
    if op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first():
        raise RuntimeError(f"cannot downgrade a database with {table} below revision 0012: it would lose {what}")

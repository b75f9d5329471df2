"""The tables, one file per group. Facts are append-only; every number is an integer.

SQLite tables are STRICT, so an overflowing sum or a float is an error there instead of a silent conversion.
"""

from metering.storage.tables.accounts import account_names, accounts, api_keys, plan_changes
from metering.storage.tables.alerts import alerts
from metering.storage.tables.budgets import budget_revisions, budgets, hour_sums, summed_hours, touched_days
from metering.storage.tables.credits import credit_entries, credit_grants
from metering.storage.tables.events import (
    EVENT_ID_BLOCK,
    assigned_events,
    charges,
    claims_by_hour,
    conflict_decisions,
    event_claims,
    event_conflicts,
    event_copies,
    event_identities,
    event_ids,
    events,
    later_claims,
    month_rollups,
    postgres_metadata,
    quarantine,
    receipts,
    recent_identities,
    rollups,
    series,
    sources,
    sqlite_metadata,
    superseded_events,
)
from metering.storage.tables.price_syncs import price_syncs
from metering.storage.tables.prices import price_discounts, price_tables, rate_prices, rate_withdrawals, rates
from metering.storage.tables.reconciliation import (
    billing_answers,
    invoice_documents,
    invoice_lines,
    invoice_parts,
    invoices,
    reconciliations,
    variance_decisions,
    variance_items,
    variances,
)
from metering.storage.tables.rerating import rerate_runs
from metering.storage.tables.retention import retired_claims, retired_months, retired_rollups, retired_runs
from metering.storage.tables.schema import metadata
from metering.storage.tables.statements import adjustments, statements
from metering.storage.tables.webhooks import (
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoint_accounts,
    webhook_endpoints,
    webhook_messages,
    webhook_secrets,
)

__all__ = [
    "EVENT_ID_BLOCK",
    "account_names",
    "accounts",
    "adjustments",
    "alerts",
    "api_keys",
    "assigned_events",
    "billing_answers",
    "budget_revisions",
    "budgets",
    "charges",
    "claims_by_hour",
    "conflict_decisions",
    "credit_entries",
    "credit_grants",
    "event_claims",
    "event_conflicts",
    "event_copies",
    "event_identities",
    "event_ids",
    "events",
    "hour_sums",
    "invoice_documents",
    "invoice_lines",
    "invoice_parts",
    "invoices",
    "later_claims",
    "metadata",
    "month_rollups",
    "plan_changes",
    "postgres_metadata",
    "price_discounts",
    "price_syncs",
    "price_tables",
    "quarantine",
    "rate_prices",
    "rate_withdrawals",
    "rates",
    "receipts",
    "recent_identities",
    "reconciliations",
    "rerate_runs",
    "retired_claims",
    "retired_months",
    "retired_rollups",
    "retired_runs",
    "rollups",
    "series",
    "sources",
    "sqlite_metadata",
    "statements",
    "summed_hours",
    "superseded_events",
    "touched_days",
    "variance_decisions",
    "variance_items",
    "variances",
    "webhook_attempts",
    "webhook_deliveries",
    "webhook_endpoint_accounts",
    "webhook_endpoints",
    "webhook_messages",
    "webhook_secrets",
]

"""Endpoints of webhooks and their deliveries, as ``--json`` prints them."""

from typing import Any

from metering.domain.alerts.webhook_deliveries import DeliveryAttempt, DeliveryLog
from metering.domain.alerts.webhooks import EndpointDetails
from metering.domain.instants import format_instant


def endpoint_json(endpoint: EndpointDetails) -> dict[str, Any]:
    """Return an endpoint; its secrets are never in it."""
    row = endpoint.row
    return {
        "id": row.id,
        "url": row.shown_url,
        "format": row.format,
        "description": row.description,
        "account": endpoint.account,
        "types": sorted(row.filter.types),
        "accounts": endpoint.accounts,
        "enabled": row.disabled_at is None,
        "disabled_at": instant_json(row.disabled_at),
        "disabled_reason": row.disabled_reason,
        "failing_since": instant_json(row.failing_since),
        "created_at": format_instant(row.created_at),
        "secrets": [
            {"created_at": format_instant(each.created_at), "expires_at": instant_json(each.expires_at)}
            for each in endpoint.secrets
        ],
        "deliveries": endpoint.deliveries,
    }


def delivery_json(delivery: DeliveryLog) -> dict[str, Any]:
    """Return a delivery with its attempts."""
    row = delivery.row
    return {
        "id": row.id,
        "webhook_id": row.message,
        "type": row.type,
        "alert_id": row.alert_id,
        "status": row.status,
        "tries": row.tries,
        "next_attempt_at": instant_json(row.due_at),
        "created_at": format_instant(row.created_at),
        "finished_at": instant_json(row.finished_at),
        "attempts": [_attempt_json(each) for each in delivery.attempts],
    }


def instant_json(micros: int | None) -> str | None:
    """Return an instant that may not be there."""
    return None if micros is None else format_instant(micros)


def _attempt_json(attempt: DeliveryAttempt) -> dict[str, Any]:
    return {
        "started_at": format_instant(attempt.started_at),
        "latency_ms": attempt.latency_ms,
        "status_code": attempt.status_code,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "answer": attempt.answer,
    }

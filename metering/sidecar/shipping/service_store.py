"""Send events to the API of another service."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from metering.domain.instants import format_instant
from metering.domain.usage.events import UNKNOWN, UsageEvent
from metering.sidecar.shipping.ship import StoreError, UnstorableError

_TIMEOUT_SECONDS = 30.0
_TRY_AGAIN = (401, 403, 404, 408, 425, 429)


class ServiceStore:
    """Posts native events to ``/v1/events``. ``key`` is an API key with the scope ``ingest``."""

    def __init__(self, url: str, key: str, batch_events: int = 1_000) -> None:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._batch_events = batch_events

    def store(self, events: Sequence[UsageEvent]) -> None:
        """Send events. Raises StoreError, UnstorableError."""
        for first in range(0, len(events), self._batch_events):
            self._send([native_record(event) for event in events[first : first + self._batch_events]])

    def idle(self) -> None:
        """The service evaluates its budgets itself."""

    def _send(self, records: list[dict[str, Any]]) -> None:
        try:
            response = self._client.post("/v1/events", content=msgspec.json.encode(records))
        except httpx.HTTPError as error:
            raise StoreError(f"{self._client.base_url}: {error}") from error
        if response.is_success:
            rejected = response.json().get("rejected", 0)
            if rejected and len(records) > 1:
                raise UnstorableError(
                    f"{rejected} of {len(records)} events were rejected"
                )  # sent one by one, they are told apart
            if rejected:
                raise UnstorableError(_reason(response))
            return
        if response.status_code >= 500 or response.status_code in _TRY_AGAIN:
            raise StoreError(f"{self._client.base_url}: {response.status_code} {_reason(response)}")
        raise UnstorableError(_reason(response))


def native_record(event: UsageEvent) -> dict[str, Any]:
    """Return an event in the native format."""
    record: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "time": format_instant(event.time),
        "account": event.account,
        "provider": "" if event.provider == UNKNOWN else event.provider,
        "model": event.model,
        "operation": event.operation,
        "route": event.route,
        "status": event.status,
        "usage": event.quantities,
        "response_id": event.response_id,
        "inference_id": event.inference_id,
        "project": event.project,
        "key": event.key,
        "tags": event.tags,
        "latency_ms": event.latency_ms,
        "reported_cost_nano_usd": event.reported_cost_nano,
        "gateway_cost_nano_usd": event.gateway_cost_nano,
        "response_model": event.response_model,
        "estimate_reason": event.estimate_reason,
        "failure": event.failure,
    }
    return {name: value for name, value in record.items() if value not in (None, "", {})}


def _reason(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return "an answer that is not JSON"
    items = answer.get("items") or []
    first = items[0] if items and isinstance(items[0], dict) else {}
    return str(first.get("reason") or answer.get("detail") or answer.get("code") or "no reason given")[:300]

"""Native events as clients send them."""

from typing import Any


def native(event_id: str | None = "r1", **fields: Any) -> dict[str, Any]:
    """Return a native event: 100 tokens in and 10 out of ``llama``, 120,000 nano-USD; fields that are None are removed."""
    event = {
        "id": event_id,
        "time": "2026-11-03T12:00:00Z",
        "account": "acme",
        "provider": "together",
        "model": "llama",
        "route": "routed",
        "status": 200,
        "usage": {"input_tokens": 100, "output_tokens": 10},
    }
    return {name: value for name, value in (event | fields).items() if value is not None}

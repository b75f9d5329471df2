"""Answers that a gateway gave from its own cache: nothing was bought from the provider, whatever usage the record repeats.

Not to be confused with cached prompt tokens, which are a provider's and have a price.
"""

from typing import Any

from metering.formats.record_fields import scaled_up

_FLAGS = ("cache_hit", "cacheHit", "from_cache", "is_cached")
# Header and the beginning of its value: LiteLLM, Portkey, Helicone, Cloudflare.
_HEADERS = (
    ("x-litellm-cache-hit", "true"),
    ("x-litellm-cache-key", ""),
    ("x-portkey-cache-status", "hit"),
    ("x-portkey-cache-status", "semantic hit"),
    ("helicone-cache", "hit"),
    ("cf-aig-cache-status", "hit"),
)


def is_flagged(value: object) -> bool:
    """Whether a value of a cache flag says that the gateway answered: true, or the word."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "hit"))


def answered_by_gateway(record: dict[str, Any], response: dict[str, Any], headers: dict[str, str], cost: object) -> bool:
    """Whether a gateway's own cache answered. If the gateway states a ``cost``, the answer was bought after all."""
    hidden = [part for part in (record.get("hidden_params"), response.get("_hidden_params")) if isinstance(part, dict)]
    flagged = any(is_flagged(part.get(name)) for part in (record, response, *hidden) for name in _FLAGS)
    flagged = flagged or any(
        headers[name].lower().startswith(value) and headers[name] for name, value in _HEADERS if name in headers
    )
    return flagged and not scaled_up(cost, 1)

"""Answers that a gateway gave from its own cache: nothing was bought from the provider, whatever usage the record repeats.

Not to be confused with cached prompt tokens, which are a provider's and have a price.
"""

from typing import Any

from metering.formats.record_fields import scaled_up

_FLAGS = frozenset({"cache_hit", "cacheHit", "from_cache", "is_cached"})
_HIDDEN = frozenset({"hidden_params", "_hidden_params"})
# The beginning of each header's value: LiteLLM, Portkey, Helicone, Cloudflare.
_HEADERS = {
    "x-litellm-cache-hit": ("true",),
    "x-litellm-cache-key": ("",),
    "x-portkey-cache-status": ("hit", "semantic hit"),
    "helicone-cache": ("hit",),
    "cf-aig-cache-status": ("hit",),
}


def is_flagged(value: object) -> bool:
    """Whether a value of a cache flag says that the gateway answered: true, or the word."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "hit"))


def answered_by_gateway(record: dict[str, Any], response: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether a gateway's own cache answered. If the gateway states a cost, the answer was bought after all."""
    flagged = _has_flag(record) or (response is not record and _has_flag(response))
    if not flagged and (not headers or _HEADERS.keys().isdisjoint(headers) or not _has_header(headers)):
        return False
    return not (scaled_up(record.get("response_cost"), 1) or scaled_up(headers.get("x-litellm-response-cost"), 1))


def _has_flag(record: dict[str, Any]) -> bool:
    if not _FLAGS.isdisjoint(record) and any(is_flagged(record.get(name)) for name in _FLAGS):
        return True
    if _HIDDEN.isdisjoint(record):
        return False
    return any(isinstance(hidden := record.get(name), dict) and is_flagged(hidden.get("cache_hit")) for name in _HIDDEN)


def _has_header(headers: dict[str, str]) -> bool:
    return any(headers[name] and headers[name].lower().startswith(_HEADERS[name]) for name in _HEADERS.keys() & headers.keys())

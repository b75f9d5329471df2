"""Blocking budgets and requests for tests, with overrides. The month is November 2026."""

from typing import Any

from metering.domain.budgets.blocking import BlockingBudget, CountedRequest
from metering.domain.budgets.periods import Window
from metering.domain.instants import first_day
from metering.sidecar.callers import Caller
from metering.sidecar.proxy import EnteringRequest
from metering.sidecar.request_facts import BodyFacts
from support.builders import NOON

ACME = 7


def blocking(**overrides: Any) -> BlockingBudget:
    """Return the budget 1 of ``acme`` for November: 1,000 nano-USD, nothing spent."""
    fields: dict[str, Any] = {
        "id": 1,
        "revision_id": 1,
        "account_id": ACME,
        "name": "november",
        "scope": {},
        "window": Window.MONTH,
        "first_day": first_day(202611),
        "end_day": first_day(202612),
        "limit_nano": 1_000,
        "spent_nano": 0,
    }
    return BlockingBudget(**fields | overrides)


def counted(**overrides: Any) -> CountedRequest:
    """Return a request of ``acme`` for ``llama`` at together."""
    fields: dict[str, Any] = {"account_id": ACME, "providers": ("together",), "model": "llama"}
    return CountedRequest(**fields | overrides)


def times(**overrides: Any) -> dict[str, Any]:
    """Return when a request starts, and when its reservation expires: noon, and an hour later."""
    return {"now": NOON, "expires_at": NOON + 3_600_000_000} | overrides


def entering(**overrides: Any) -> EnteringRequest:
    """Return a chat request of ``acme`` for ``llama`` at together: 100 tokens in, at most 10 out."""
    facts = {"model": "llama", "max_output_tokens": 10} | overrides.pop("facts", {})
    caller = {"account": "acme", "project": "", "key": "", "user": "", "session": "", "tags": {}} | overrides.pop("caller", {})
    fields: dict[str, Any] = {
        "caller": Caller(**caller),
        "path": "/v1/chat/completions",
        "provider": "together",
        "facts": BodyFacts(**facts),
        "input_tokens": 100,
        "body_bytes": 0,
        "unread_bytes": 0,
        "started": NOON,
    }
    return EnteringRequest(**fields | overrides)

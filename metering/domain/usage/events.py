"""A usage event: one request that was made. Immutable.

Every log format is normalized to this value first. What the record did not state is empty (``""``, None), never guessed. There
is no field for prompts and completions.
"""

from enum import IntEnum
from typing import Any

from msgspec import Struct

from pricing.quantities import Quantities

UNKNOWN = "unknown"

ROUTED = "routed"
PROVIDER_KEY = "provider_key"
SERVERLESS = "serverless"
ROUTES = (ROUTED, PROVIDER_KEY, SERVERLESS, UNKNOWN)
BILLED_ROUTES = (ROUTED, SERVERLESS)

MAX_ID_LENGTH = 255
MAX_NAME_LENGTH = 255
MAX_TAG_VALUE_LENGTH = 255
MAX_TAGS = 32


class QuantityGrade(IntEnum):
    """How the quantities are known.

    UNSTATED: the record has no usage, or all of it is zero (an interrupted stream, a placeholder). An answered request never
    used nothing, so the event stays unpriced until its quantities are known.
    """

    MEASURED = 0
    ESTIMATED = 1
    UNSTATED = 2


class PriceGrade(IntEnum):
    """How the amount is known.

    EXEMPT: the request failed and costs nothing; its amount is a known zero. GATEWAY_CACHE: a gateway answered from its own
    cache, so nothing was bought from the provider; its amount is a known zero, too.
    """

    RATED = 0
    REPORTED = 1
    UNPRICED = 2
    EXEMPT = 3
    GATEWAY_CACHE = 4


# Grades of requests for which the provider is owed nothing.
FREE_GRADES = (PriceGrade.EXEMPT, PriceGrade.GATEWAY_CACHE)


class UsageEvent(Struct, frozen=True, gc=False, array_like=True):
    """One request, normalized.

    ``time`` is when the request started, microseconds UTC; ``time_derived`` if it was computed from the end. ``account`` is the
    name in the record, unresolved. ``route`` is empty if the record does not state one. ``reported_cost_nano`` is the cost that
    the serving provider reported; ``gateway_cost_nano`` is what a gateway computed, for information only. ``failure`` is a
    short code if the record states an error other than by its status. ``gateway_cached``: a gateway answered from its own
    cache; such an event has no quantities.

    Build it with keyword arguments. Only the decoder of native events passes fields by position, which takes a quarter of the
    time.
    """

    id: str
    source: str
    time: int
    model: str
    provider: str = UNKNOWN
    operation: str = "chat"
    account: str = ""
    route: str = ""
    status: int | None = None
    quantities: Quantities = Quantities()
    quantity_grade: int = QuantityGrade.MEASURED
    estimate_reason: str = ""
    time_derived: bool = False
    response_id: str = ""
    inference_id: str = ""
    project: str = ""
    key: str = ""
    tags: dict[str, str] = {}
    latency_ms: int | None = None
    reported_cost_nano: int | None = None
    gateway_cost_nano: int | None = None
    response_model: str = ""
    failure: str = ""
    gateway_cached: bool = False


class Position(Struct, frozen=True, gc=False, array_like=True):
    """Where a record is in its input: line from 1 (or item of a JSON array from 0), byte offset and length."""

    line: int
    offset: int
    length: int


class DecodedEvent(Struct, frozen=True, gc=False, array_like=True):
    """A record that became an event, with its content digest."""

    event: UsageEvent
    fingerprint: int
    position: Position


class RejectedRecord(Struct, frozen=True, array_like=True):
    """A record that could not become an event, without its content.

    ``digest`` is the hex BLAKE2b-128 of the raw bytes. ``kept`` holds the identifying fields that could be read (see
    ``kept_fields``).
    """

    position: Position
    digest: str
    code: str
    reason: str
    field: str | None = None
    kept: dict[str, str] = {}


class DecodedBlock(Struct, array_like=True):
    """One decoded block of a log.

    ``unread_fields`` counts, by name, the fields that no event keeps, so that nothing is dropped silently. ``by_index``: the
    block is a JSON document, whose positions are 0-based items.
    """

    events: list[DecodedEvent]
    rejected: list[RejectedRecord]
    unread_fields: dict[str, int]
    by_index: bool = False


def kept_fields(record: dict[str, Any]) -> dict[str, str]:
    """Return the identifying fields of a rejected record that quarantine may keep, each cut to 255 characters."""
    kept = {}
    for name in ("id", "source", "time", "account", "provider", "model", "operation"):
        value = record.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            shown = str(value)[:MAX_NAME_LENGTH] if abs(value if isinstance(value, int) else 0) < 10**18 else "…"
            kept[name] = shown.replace("\0", "")  # PostgreSQL cannot store NUL
    return kept

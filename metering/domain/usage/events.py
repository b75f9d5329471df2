"""A usage event: one request that was made, an immutable fact.

Every log format is normalised to this value before anything else looks at it. What the record did not state is empty
(``""``, None), never guessed. Prompts and completions have no place to be kept in.
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
    """How the quantities are known. UNSTATED: the record said nothing of usage (an interrupted stream)."""

    MEASURED = 0
    ESTIMATED = 1
    UNSTATED = 2


class PriceGrade(IntEnum):
    """How the amount is known. EXEMPT: nothing is owed because the request failed; its amount is a known zero."""

    RATED = 0
    REPORTED = 1
    UNPRICED = 2
    EXEMPT = 3


class UsageEvent(Struct, frozen=True, gc=False, array_like=True):
    """One request, normalised.

    ``time`` is when it started, microseconds UTC; ``time_derived`` where it was computed from the end. ``account`` is the
    name the record gave, unresolved. ``route`` is empty where the record does not state one. ``reported_cost_nano`` is what
    the serving provider said it cost; ``gateway_cost_nano`` what a gateway computed, a memo.

    Build it with keywords. Only the decoder of native events gives the fields by position, which takes a quarter of the time.
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


class Position(Struct, frozen=True, gc=False, array_like=True):
    """Where in its input a record stands: 1-based line (or 0-based item of a JSON array), byte offset and length."""

    line: int
    offset: int
    length: int


class DecodedEvent(Struct, frozen=True, gc=False, array_like=True):
    """A record that became an event, with its content digest."""

    event: UsageEvent
    fingerprint: int
    position: Position


class RejectedRecord(Struct, frozen=True, array_like=True):
    """A record that could not become an event: what is allowed to be kept of it, never its content.

    ``digest`` is the hex BLAKE2b-128 of the raw bytes, so that a replay can tell whether it still stands there. ``kept``
    holds the identifying fields that could be read (id, time, account, provider, model), each cut to 255 characters.
    """

    position: Position
    digest: str
    code: str
    reason: str
    field: str | None = None
    kept: dict[str, str] = {}


class DecodedBlock(Struct, array_like=True):
    """What became of one block of a log.

    ``unread_fields`` counts the fields that records carried and no event keeps, by name: nothing is dropped silently.
    """

    events: list[DecodedEvent]
    rejected: list[RejectedRecord]
    unread_fields: dict[str, int]


def kept_fields(record: dict[str, Any]) -> dict[str, str]:
    """Return the identifying fields of a bad record that may be kept in quarantine, as short strings."""
    kept = {}
    for name in ("id", "source", "time", "account", "provider", "model", "operation"):
        value = record.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            shown = str(value)[:MAX_NAME_LENGTH] if abs(value if isinstance(value, int) else 0) < 10**18 else "…"
            kept[name] = shown.replace("\0", "")  # PostgreSQL can not store a NUL
    return kept

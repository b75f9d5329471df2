"""One exchange as it ended: what an event is made of."""

from typing import Any

from msgspec import Struct

from metering.sidecar.callers import Caller
from metering.sidecar.heads import AnswerHead
from metering.sidecar.request_facts import BodyFacts


class Exchanged(Struct):
    """One exchange as it ended. ``answer`` None: nothing was answered; ``status`` is then the sidecar's own.

    Times are microseconds UTC. ``is_text``: it is one of the known APIs, most of which are for text. ``is_partial``: the usage
    is the one that a stream began with. ``first_byte_ms`` is how long the first byte of the answer took.
    """

    id: str
    started: int
    latency_ms: int
    path: str
    facts: BodyFacts
    caller: Caller
    status: int
    answer: AnswerHead | None
    statements: dict[str, Any]
    input_tokens: int
    text_bytes: int
    chunks: int
    is_text: bool = True
    is_partial: bool = False
    first_byte_ms: int | None = None
    is_stream: bool = False
    is_cut: bool = False


def tags_of(exchanged: Exchanged) -> dict[str, str]:
    """Return the tags of the event: the caller's, and of a stream how long its first byte took."""
    tags = exchanged.caller.tags
    if exchanged.first_byte_ms is None or not exchanged.is_stream:
        return tags
    return {**tags, "first_byte_ms": str(exchanged.first_byte_ms)}

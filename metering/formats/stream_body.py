"""Collect the chunks of a stream into the one body that the same response would have without streaming.

Only what identifies, times and measures the response is kept; the chunks' content is not.
"""

from decimal import Decimal
from typing import Any

from metering.formats.json_records import nested_json
from metering.formats.usage_merging import merge_usage

_FIRST_STATED = ("id", "object", "model", "provider", "service_tier", "system_fingerprint")
_TIMES = ("created", "created_at")
_LAST_WORDS = frozenset({"failed", "incomplete", "completed", "cancelled"})
# The parts of a chunk that contain what others state at the top: Responses API events, Anthropic's message_start.
_NESTED = ("response", "message")


class StreamBody:
    """What the chunks so far state about the whole response, in ``body``. Chunks may arrive in any order.

    ``is_closed``: the chunk with nothing but the usage, which ends a stream of chat completions, has arrived.
    """

    def __init__(self) -> None:
        self.body: dict[str, Any] = {}
        self.is_closed = False
        self._reasons: dict[Any, str] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Add one chunk of any of the APIs that stream."""
        self._add_error(chunk)
        for name in _NESTED:
            inner = chunk.get(name)
            if isinstance(inner, dict):
                chunk = inner
                self._add_error(chunk)
        body = self.body
        for name in _FIRST_STATED:
            value = chunk.get(name)
            if isinstance(value, str) and value and not body.get(name):
                body[name] = value
        for name in _TIMES:
            value = chunk.get(name)
            if value is not None and (name not in body or _is_earlier(value, body[name])):
                body[name] = value
        word = chunk.get("status")
        if isinstance(word, str) and word in _LAST_WORDS:
            body["status"] = word
        self._add_usage(chunk)
        self._add_finish_reasons(chunk)

    def continues_finished(self, chunk: dict[str, Any]) -> bool:
        """Whether a chunk goes on with a choice that has finished: it belongs to another response with the same ID."""
        return bool(self._reasons) and any(index in self._reasons and not reason for index, reason in _choices(chunk))

    def _add_error(self, chunk: dict[str, Any]) -> None:
        error = chunk.get("error")
        if error and not self.body.get("error"):
            self.body["error"] = error
        elif chunk.get("type") == "error" and not self.body.get("error"):
            self.body["error"] = {"code": chunk.get("code"), "type": "error"}

    def _add_usage(self, chunk: dict[str, Any]) -> None:
        self.is_closed = self.is_closed or (bool(chunk.get("usage")) and chunk.get("choices") == [])
        groq = chunk.get("x_groq")
        for usage in (chunk.get("usage"), groq.get("usage") if isinstance(groq, dict) else None):
            if isinstance(usage, dict):
                self.body["usage"] = merge_usage(self.body.get("usage") or {}, usage)
        for name in ("usageMetadata", "usage_metadata"):
            if isinstance(chunk.get(name), dict):
                self.body[name] = merge_usage(self.body.get(name) or {}, chunk[name])

    def _add_finish_reasons(self, chunk: dict[str, Any]) -> None:
        for index, reason in _choices(chunk):
            if reason:
                self._reasons[index] = reason
        if self._reasons:
            self.body["choices"] = [{"finish_reason": reason} for reason in self._reasons.values()]


def body_of_stream(text: str) -> dict[str, Any]:
    """Return the body of a stream that was recorded as text. A stream that was cut off has no usage."""
    collected = StreamBody()
    for line in text.splitlines():
        if line.startswith("data:"):
            chunk = nested_json(line[5:].strip())
            if isinstance(chunk, dict):
                collected.add(chunk)
    return collected.body


def body_of_chunks(chunks: list[Any]) -> dict[str, Any]:
    """Return the body of a stream that was recorded as a list of its chunks."""
    collected = StreamBody()
    for chunk in chunks:
        if isinstance(chunk, dict):
            collected.add(chunk)
    return collected.body


def _choices(chunk: dict[str, Any]) -> list[tuple[Any, str]]:
    """Return (index, finish reason or empty) of each choice in a chunk."""
    choices = chunk.get("choices")
    found = []
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            index, reason = choice.get("index", 0), choice.get("finish_reason")
            found.append((index if isinstance(index, int) else 0, reason if isinstance(reason, str) else ""))
    return found


def _is_earlier(time: object, other: object) -> bool:
    if not (isinstance(time, int | Decimal) and isinstance(other, int | Decimal)):
        return False
    try:
        return time < other
    except ArithmeticError:  # NaN
        return False

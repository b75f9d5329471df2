"""The event of one exchange. Tokens are read by the reader of request logs, so that both ways of metering agree."""

import contextlib
from typing import Any

from msgspec.structs import replace

from metering.domain.errors import RecordError
from metering.domain.texts import replace_control_characters
from metering.domain.usage.events import MAX_NAME_LENGTH, UNKNOWN, QuantityGrade, UsageEvent
from metering.formats.open_streams import OpenStreams
from metering.formats.openai import OpenAiReader
from metering.formats.openai_exchange import ROUTER_HOST, Exchange
from metering.formats.options import DecodeOptions
from metering.formats.reading import Reading
from metering.sidecar.estimates import REASON, estimated
from metering.sidecar.exchanged import Exchanged, tags_of
from metering.sidecar.heads import AnswerHead
from metering.sidecar.usual_events import UsualEvents
from pricing.quantities import Quantities

# The reader wants a time; the event gets the time of the request.
_ANY_TIME = "2026-01-01T00:00:00Z"
_FAR_FUTURE = 2**62
_READ_HEADERS = frozenset({b"x-inference-provider", b"inference-id", b"x-compute-time", b"x-router-route", b"x-router-model"})
_NAMES = ("id", "model")
_STATING_FAILURE = frozenset({"error", "status", "type"})
_TEXT_OPERATIONS = frozenset({"chat", "text_completion", "embeddings", "rerank"})


class EventMaker:
    """Makes events of exchanges. ``source`` names the sidecar; ``host`` is the upstream's, or stands for it."""

    def __init__(self, source: str, host: str) -> None:
        reading = Reading(DecodeOptions(source=source, now=_FAR_FUTURE))
        self._unread = reading.unread
        self._reader = OpenAiReader(reading, OpenStreams())
        self._source = source
        self._host = host
        self._usual = UsualEvents(source, reading.unread)

    def event_of(self, exchanged: Exchanged) -> UsageEvent:
        """Return the event. What cannot be read leaves the quantities unstated; an exchange always becomes an event."""
        headers = _read_headers(exchanged.answer)
        usual = self._usual.event_of(exchanged, headers)
        if usual is not None:
            return usual
        event = replace(self._read(exchanged, headers), time=exchanged.started, time_derived=False)
        self._usual.learn(exchanged, headers, event)
        if exchanged.facts.text and not event.quantities.characters and 200 <= exchanged.status < 300:
            spoken = Quantities(characters=len(exchanged.facts.text))
            return replace(event, quantities=spoken, quantity_grade=QuantityGrade.MEASURED)
        if event.quantity_grade == QuantityGrade.UNSTATED and not event.failure and 200 <= exchanged.status < 300:
            return _estimated(event, exchanged)
        if exchanged.is_partial and event.quantity_grade == QuantityGrade.MEASURED:
            return _with_estimated_output(event, exchanged)
        return event

    def _read(self, exchanged: Exchanged, headers: dict[str, str]) -> UsageEvent:
        """Return the event of what the answer states; what of it cannot be right is left out."""
        errors = {name: value for name, value in exchanged.statements.items() if name in _STATING_FAILURE}
        try:
            for statements in (exchanged.statements, errors):
                with contextlib.suppress(RecordError):
                    return self._reader.event_of(*_record_of(exchanged, statements, headers, self._host))
        finally:
            self._unread.drain()
        return self._event_without_usage(exchanged)

    def _event_without_usage(self, exchanged: Exchanged) -> UsageEvent:
        caller = exchanged.caller
        return UsageEvent(
            id=exchanged.id,
            source=self._source,
            time=exchanged.started,
            model=_short(exchanged.facts.model) or UNKNOWN,
            account=caller.account,
            status=exchanged.status,
            quantity_grade=QuantityGrade.UNSTATED,
            project=caller.project,
            key=caller.key,
            tags=caller.tags,
            latency_ms=exchanged.latency_ms,
        )


def _read_headers(answer: AnswerHead | None) -> dict[str, str]:
    headers = {}
    for name, value in () if answer is None else answer.headers:
        if name in _READ_HEADERS:
            headers[name.decode()] = replace_control_characters(value.decode("utf-8", "replace"))[:MAX_NAME_LENGTH]
    return headers


def _record_of(
    exchanged: Exchanged, statements: dict[str, Any], headers: dict[str, str], host: str
) -> tuple[dict[str, Any], Exchange]:
    caller, answer = exchanged.caller, exchanged.answer
    record: dict[str, Any] = {
        "id": exchanged.id,
        "time": _ANY_TIME,
        "latency_ms": exchanged.latency_ms,
        "account": caller.account,
        "project": caller.project,
        "key": caller.key,
        "tags": tags_of(exchanged),
        "model": "" if exchanged.facts.model else UNKNOWN,
        "operation": _operation_of_media(answer),
    }
    exchange = Exchange(
        request={"model": _short(exchanged.facts.model)},
        response=_with_names_that_fit(statements),
        request_headers={},
        response_headers=headers,
        host=host,
        path=exchanged.path,
        status=exchanged.status,
        is_collected=exchanged.is_stream,
        is_wrapped=True,
    )
    return record, exchange


def _estimated(event: UsageEvent, exchanged: Exchanged) -> UsageEvent:
    """Return the event with tokens estimated from bytes, if it is a request for text that was answered."""
    if not exchanged.is_text or event.operation not in _TEXT_OPERATIONS or not (exchanged.input_tokens or exchanged.text_bytes):
        return event
    answered = exchanged.text_bytes if event.operation in ("chat", "text_completion") else 0
    quantities = estimated(exchanged.input_tokens, answered, exchanged.chunks)
    return replace(event, quantities=quantities, quantity_grade=QuantityGrade.ESTIMATED, estimate_reason=REASON)


def _operation_of_media(answer: AnswerHead | None) -> str:
    """Return the operation of an answer that is an image or speech itself; empty for others."""
    media = b"" if answer is None or not 200 <= answer.status < 300 else answer.value(b"content-type")
    return "image_generation" if media.startswith(b"image/") else "speech" if media.startswith(b"audio/") else ""


def _with_estimated_output(event: UsageEvent, exchanged: Exchanged) -> UsageEvent:
    """Return the event of a stream that was cut before it stated its output."""
    output = estimated(0, exchanged.text_bytes, exchanged.chunks).output_tokens
    quantities = replace(event.quantities, output_tokens=max(output, event.quantities.output_tokens))
    return replace(event, quantities=quantities, quantity_grade=QuantityGrade.ESTIMATED, estimate_reason=REASON)


def _with_names_that_fit(statements: dict[str, Any]) -> dict[str, Any]:
    """Return the statements without names that cannot be stored: they are no reason to lose the usage."""
    for name in _NAMES:
        value = statements.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= MAX_NAME_LENGTH and "\0" not in value):
            statements = {each: stated for each, stated in statements.items() if each != name}
    return statements


def _short(model: str) -> str:
    return replace_control_characters(model)[:MAX_NAME_LENGTH]


def host_of(upstream_host: str, *, is_router: bool) -> str:
    """Return the host that the reader sees: the router's, if the upstream is the router or stands in for it."""
    return ROUTER_HOST if is_router else upstream_host

"""Logs of OpenAI-compatible requests: response bodies with their ``usage``, or ``{request, response}`` pairs.

Only the fields that identify, time and measure the request are read. Messages, choices and other content are not.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from metering.domain.errors import RecordError
from metering.domain.instants import to_micros
from metering.domain.usage.events import MAX_ID_LENGTH, ROUTED, SERVERLESS, QuantityGrade, UsageEvent, kept_fields
from metering.domain.usage.identity import id_with_content, may_repeat
from metering.formats.event_times import latency_micros, start_of
from metering.formats.field_paths import value_at
from metering.formats.gateway_caches import answered_by_gateway
from metering.formats.json_records import json_object
from metering.formats.litellm_names import PROVIDER_FIELD, without_provider
from metering.formats.open_streams import OpenStreams, StreamPart, says_nothing, stream_part
from metering.formats.openai_exchange import (
    Exchange,
    exchange_of,
    model_in_path,
    operation_of,
    provider_in_path,
    was_routed,
)
from metering.formats.openai_usage import StatedUsage, stated_usage
from metering.formats.reading import Reading
from metering.formats.record_fields import (
    dollars_as_nano,
    grade_of,
    kept_text,
    limited_tags,
    route_field,
    scaled_up,
    served_by,
    status_field,
    tag_text,
    tags_field,
    text_field,
)
from metering.formats.shown_quantities import shown_quantities
from metering.formats.stated_failures import stated_failure
from metering.formats.usage_spellings import BESIDE_USAGE, usage_of
from pricing.quantities import MAX_QUANTITY, Quantities

START_NAMES = ("time", "timestamp", "start_time", "started_at", "startTime")
END_NAMES = ("end_time", "ended_at", "endTime", "finished_at", "completed_at")
LATENCY_NAMES = ("latency_ms", "duration_ms")
HF_INFERENCE = "hf-inference"

_LOGGED_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

# The fields that are read, and those known to be content or of no use; any other field of a record is reported as unread.
_KNOWN = frozenset(
    {
        *START_NAMES, *END_NAMES, *LATENCY_NAMES,
        "id", "source", "account", "provider", "model", "operation", "route", "status", "status_code", "project", "key", "tags",
        "request", "response", "usage", "response_cost", "inference_id", "object", "created", "created_at", "type", "role",
        "choices", "message", "messages", "prompt", "input", "output", "content", "data", "error", "text", "instructions",
        "results", "images", "duration", "cache_hit", PROVIDER_FIELD, *_LOGGED_COUNTS, *BESIDE_USAGE,
    }
)  # fmt: skip


class _Times(Struct):
    start: int
    derived: bool
    latency_ms: int | None


class OpenAiReader:
    """Reads OpenAI-compatible records."""

    def __init__(self, reading: Reading, streams: OpenStreams) -> None:
        self._reading = reading
        self._options = reading.options
        self._streams = streams

    def read(self, raw: bytes) -> UsageEvent | StreamPart | None:
        """Return the event of one record, the chunk that it is, or None if it states nothing. Raises RecordError."""
        if not raw.startswith(b"{"):
            raw = _without_event_name(raw)
            if not raw:
                return None
        record = json_object(raw)
        exchange = exchange_of(record)
        part = stream_part(record, exchange)
        if part is None and "error" in record:
            part = self._streams.take_error(record, exchange)
        if part is None:
            return self.event_of(record, exchange)
        return None if says_nothing(part) else part

    def event_of(self, record: dict[str, Any], exchange: Exchange) -> UsageEvent:
        """Return the event of a record and its exchange. Its ID is empty if it states none. Raises RecordError."""
        options = self._options
        model, provider = self._served(record, exchange)
        operation = text_field(record, "operation") or operation_of(exchange) or options.operation or "chat"
        cached = answered_by_gateway(record, exchange.response, exchange.response_headers)
        usage = StatedUsage() if cached else self._usage(record, exchange, provider, operation)
        response_id = text_field(exchange.response, "id")
        inference_id = text_field(record, "inference_id") or _header(exchange, "inference-id")
        own_id = _own_id(record, response_id) if exchange.is_wrapped else ""
        event_id = own_id or response_id or inference_id
        if not event_id and options.require_id:
            raise RecordError("missing_id", "an event needs an id, so that sending it again does not count it twice", "id")
        times = self._times(record, exchange)
        event = UsageEvent(
            id=event_id,
            source=text_field(record, "source") or options.source,
            model=model,
            provider=provider,
            operation=operation,
            account=text_field(record, "account") or _request_header(exchange, "x-hf-bill-to") or options.account,
            route=self._route(record, exchange, provider),
            status=status_field(exchange.status),
            quantities=usage.quantities or Quantities(),
            quantity_grade=QuantityGrade.MEASURED if cached else grade_of(usage.quantities, usage.estimate_reason),
            estimate_reason=usage.estimate_reason,
            time_derived=times.derived,
            response_id=response_id,
            inference_id=inference_id,
            project=text_field(record, "project") or options.project,
            key=text_field(record, "key") or options.key,
            tags=self._tags(record, exchange),
            latency_ms=times.latency_ms,
            reported_cost_nano=usage.reported_cost_nano,
            gateway_cost_nano=dollars_as_nano(record.get("response_cost")),
            response_model=text_field(exchange.response, "model"),
            failure=stated_failure(record, exchange.response),
            gateway_cached=cached,
            time=self._reading.times.settle(times.start),
        )
        if event_id == response_id and event_id and (cached or may_repeat(event_id)):
            return replace(event, id=id_with_content(event_id, event))
        return event

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the identifying fields of a rejected record, its own or those of its bodies, which quarantine may keep."""
        try:
            record = json_object(raw)
        except RecordError:
            return {}
        return self.kept_of(record, exchange_of(record))

    def kept_of(self, record: dict[str, Any], exchange: Exchange) -> dict[str, str]:
        """Return the identifying fields of a rejected record that was decoded."""
        return kept_fields({**exchange.response, **exchange.request, **record})

    def _served(self, record: dict[str, Any], exchange: Exchange) -> tuple[str, str]:
        """Return (model, provider): the requested model, and the provider by the response, the URL or the model's suffix."""
        stated = _header(exchange, "x-inference-provider") or provider_in_path(exchange) or text_field(record, "provider")
        requested = text_field(exchange.request, "model") or model_in_path(exchange)
        own = text_field(record, "model") if exchange.response is not record else ""
        model = requested or own or text_field(exchange.response, "model") or self._options.model
        litellm_provider = record.get(PROVIDER_FIELD)
        if isinstance(litellm_provider, str):
            model, provider = without_provider(model, litellm_provider)
            stated = stated or provider
        if not model:
            raise RecordError(
                "missing_model",
                "neither the request nor the response has a model; this may not be an inference request",
                "model",
            )
        return served_by(kept_text(model, "model"), stated, self._options.provider)

    def _route(self, record: dict[str, Any], exchange: Exchange, provider: str) -> str:
        stated = route_field(record.get("route"))
        if stated:
            return stated
        if provider == HF_INFERENCE:
            return SERVERLESS
        return ROUTED if was_routed(exchange) else self._reading.route

    def _usage(self, record: dict[str, Any], exchange: Exchange, provider: str, operation: str) -> StatedUsage:
        unread = self._reading.unread
        stated, stated_by = usage_of(exchange.response)
        if not BESIDE_USAGE.isdisjoint(exchange.response):
            for name in BESIDE_USAGE:
                if name != stated_by and exchange.response.get(name) is not None:
                    unread.note(name)
        usage = stated_usage(stated or _logged_usage(record, exchange), unread, operation)
        if provider == HF_INFERENCE:
            return _with_compute_time(usage, exchange)
        if usage.quantities is None:
            return replace(usage, quantities=shown_quantities(exchange, operation))
        return usage

    def _times(self, record: dict[str, Any], exchange: Exchange) -> _Times:
        times = self._reading.times
        start = _first(record, START_NAMES)
        end = _first(record, END_NAMES)
        latency_field = _first(record, LATENCY_NAMES)
        latency = None if latency_field is None else latency_micros(latency_field[1], latency_field[0])
        start_micros = None if start is None else times.read(start[1], start[0])
        end_micros = None if end is None else times.read(end[1], end[0])
        if latency is None and start_micros is not None and end_micros is not None and end_micros >= start_micros:
            latency = end_micros - start_micros
        moment, derived = start_of(start_micros, end_micros, latency)
        if moment is None:
            created = _first(exchange.response, ("created", "created_at"))
            moment = times.read(created[1], created[0]) if created else _date_header(exchange, latency)
            derived = True
        if moment is None:
            raise RecordError("missing_time", "the record has no time; add one such as 2026-11-03T10:15:00Z", "time")
        return _Times(moment, derived, None if latency is None else latency // 1000)

    def _tags(self, record: dict[str, Any], exchange: Exchange) -> dict[str, str]:
        tags = tags_field(record.get("tags"))
        unread = self._reading.unread
        for name in self._options.tag_fields:
            value = value_at(name, record, exchange.request, exchange.response)
            if value is not None:
                tags[name] = tag_text(value, name)
        for name, value in record.items():
            if name not in _KNOWN and value is not None:
                unread.note(name)
        return limited_tags(tags)


def _own_id(record: dict[str, Any], response_id: str) -> str:
    """Return the logger's own ID of a record that contains a response. One that cannot be an ID is no reason to reject it."""
    stated = record.get("id")
    if isinstance(stated, int) and not isinstance(stated, bool):
        return str(stated)[:MAX_ID_LENGTH]
    try:
        return text_field(record, "id")
    except RecordError:
        if response_id:
            return ""
        raise


def _logged_usage(record: dict[str, Any], exchange: Exchange) -> object:
    """Return the usage that the logger extracted from a response, if the response was not recorded with its own."""
    if not exchange.is_wrapped:
        return exchange.response.get("usage")
    metadata = record.get("metadata")
    extracted = metadata.get("usage_object") if isinstance(metadata, dict) else None
    if isinstance(extracted, dict) and extracted:
        return extracted
    logged = {name: record[name] for name in _LOGGED_COUNTS if record.get(name) is not None}
    return record.get("usage") or logged or exchange.response.get("usage")


def _without_event_name(raw: bytes) -> bytes:
    """Return the data of one line of a recorded stream; nothing for its other lines, and for the end of the stream."""
    name, colon, data = raw.partition(b":")
    if not colon or name not in (b"data", b"event", b"id", b"retry", b""):
        return raw
    data = data.strip()
    return b"" if name != b"data" or data == b"[DONE]" else data


def _with_compute_time(usage: StatedUsage, exchange: Exchange) -> StatedUsage:
    """Add what hf-inference charges for: ``x-compute-time``, seconds of compute, rounded up to milliseconds."""
    compute_ms = scaled_up(_header(exchange, "x-compute-time") or None, 1000)
    if compute_ms is None or compute_ms > MAX_QUANTITY:
        return usage
    return replace(usage, quantities=replace(usage.quantities or Quantities(), compute_ms=compute_ms))


def _first(record: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any] | None:
    for name in names:
        value = record.get(name)
        if value is not None and value != "":
            return name, value
    return None


def _header(exchange: Exchange, name: str) -> str:
    return kept_text(exchange.response_headers.get(name, ""), name)


def _request_header(exchange: Exchange, name: str) -> str:
    return kept_text(exchange.request_headers.get(name, ""), name)


def _date_header(exchange: Exchange, latency: int | None) -> int | None:
    """Return the response's ``Date`` minus the latency, the only time of a failed request if the logger recorded none."""
    stated = exchange.response_headers.get("date", "")
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, TypeError):
        return None
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - (latency or 0)

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
from metering.domain.usage.events import ROUTED, SERVERLESS, UsageEvent, kept_fields
from metering.formats.event_times import latency_micros, start_of
from metering.formats.json_records import json_object
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
from pricing.quantities import MAX_QUANTITY, Quantities

START_NAMES = ("time", "timestamp", "start_time", "started_at", "startTime")
END_NAMES = ("end_time", "ended_at", "endTime", "finished_at", "completed_at")
LATENCY_NAMES = ("latency_ms", "duration_ms")
HF_INFERENCE = "hf-inference"

# The fields that are read, and those known to be content or of no use; any other field of a record is reported as unread.
_KNOWN = frozenset(
    {
        *START_NAMES, *END_NAMES, *LATENCY_NAMES,
        "id", "source", "account", "provider", "model", "operation", "route", "status", "status_code", "project", "key", "tags",
        "request", "response", "usage", "response_cost", "inference_id", "object", "created", "created_at", "type", "role",
        "choices", "message", "messages", "prompt", "input", "output", "content", "data", "error", "text", "instructions",
    }
)  # fmt: skip


class _Times(Struct):
    start: int
    derived: bool
    latency_ms: int | None


class OpenAiReader:
    """Reads OpenAI-compatible records."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._options = reading.options

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event of one record. Raises RecordError."""
        record = json_object(raw)
        exchange = exchange_of(record)
        if _is_part_of_a_stream(exchange):
            raise RecordError("stream_chunk", "this is one chunk of a stream; only the chunk with usage is metered", "usage")
        options = self._options
        model, provider = self._served(record, exchange)
        usage = self._usage(exchange, provider)
        response_id = text_field(exchange.response, "id")
        inference_id = text_field(record, "inference_id") or _header(exchange, "inference-id")
        event_id = response_id or text_field(record, "id") or inference_id
        if not event_id and options.require_id:
            raise RecordError("missing_id", "an event needs an id, so that sending it again does not count it twice", "id")
        times = self._times(record, exchange)
        cost_nano = usage.gateway_cost_nano
        return UsageEvent(
            id=event_id,
            source=text_field(record, "source") or options.source,
            model=model,
            provider=provider,
            operation=text_field(record, "operation") or operation_of(exchange) or options.operation or "chat",
            account=text_field(record, "account") or _request_header(exchange, "x-hf-bill-to") or options.account,
            route=self._route(record, exchange, provider),
            status=status_field(exchange.status),
            quantities=usage.quantities or Quantities(),
            quantity_grade=grade_of(usage.quantities, usage.estimate_reason),
            estimate_reason=usage.estimate_reason,
            time_derived=times.derived,
            response_id=response_id,
            inference_id=inference_id,
            project=text_field(record, "project") or options.project,
            key=text_field(record, "key") or options.key,
            tags=self._tags(record, exchange),
            latency_ms=times.latency_ms,
            gateway_cost_nano=dollars_as_nano(record.get("response_cost")) if cost_nano is None else cost_nano,
            response_model=text_field(exchange.response, "model"),
            time=self._reading.times.settle(times.start),
        )

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the identifying fields of a rejected record, its own or those of its bodies, which quarantine may keep."""
        try:
            record = json_object(raw)
        except RecordError:
            return {}
        exchange = exchange_of(record)
        return kept_fields({**exchange.response, **exchange.request, **record})

    def _served(self, record: dict[str, Any], exchange: Exchange) -> tuple[str, str]:
        """Return (model, provider): the requested model, and the provider by the response, the URL or the model's suffix."""
        stated = _header(exchange, "x-inference-provider") or provider_in_path(exchange) or text_field(record, "provider")
        requested = text_field(exchange.request, "model") or model_in_path(exchange)
        own = text_field(record, "model") if exchange.response is not record else ""
        model = requested or own or text_field(exchange.response, "model") or self._options.model
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

    def _usage(self, exchange: Exchange, provider: str) -> StatedUsage:
        usage = stated_usage(exchange.response.get("usage"), self._reading.unread)
        if provider == HF_INFERENCE:
            return _with_compute_time(usage, exchange)
        if usage.quantities is None and operation_of(exchange) == "image_generation":
            images = exchange.response.get("data")
            if isinstance(images, list) and images:
                return StatedUsage(Quantities(images=len(images)), "", usage.gateway_cost_nano)
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
        tag_fields = self._options.tag_fields
        for name in tag_fields:
            value = record.get(name, exchange.request.get(name))
            if value is not None and not isinstance(value, dict | list):
                tags[name] = tag_text(value, name)
        for name in record:
            if name not in _KNOWN and name not in tag_fields:
                self._reading.unread.note(name)
        return limited_tags(tags)


def _is_part_of_a_stream(exchange: Exchange) -> bool:
    """Whether the record is a single chunk without usage, as opposed to a stream that was collected into one body."""
    body = exchange.response
    return body.get("object") == "chat.completion.chunk" and "choices" in body and body.get("usage") is None


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

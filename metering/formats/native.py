"""The native event: one JSON object with disjoint quantities.

A regular record takes the fast path: one strict decode into a struct that declares every bound. Any other record is read again
field by field, which finds unknown fields and the precise error. Both paths return the same event.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple

from metering.domain.errors import RecordError
from metering.domain.usage.events import (
    MAX_NAME_LENGTH,
    MAX_TAG_VALUE_LENGTH,
    MAX_TAGS,
    PROVIDER_KEY,
    ROUTED,
    SERVERLESS,
    QuantityGrade,
    UsageEvent,
    kept_fields,
)
from metering.formats.field_paths import value_at
from metering.formats.json_records import json_object
from metering.formats.reading import Reading
from metering.formats.record_fields import (
    FAILURE_CODE,
    amount_field,
    count_field,
    failure_field,
    grade_of,
    kept_text,
    limited_tags,
    require_reasoning_inside_output,
    route_field,
    served_by,
    status_field,
    tag_text,
    tags_field,
    text_field,
)
from pricing.money import MAX_CHARGE_NANO
from pricing.quantities import ALL_KINDS, MAX_QUANTITY, REQUESTS, Quantities
from pricing.rates import TEXT_KINDS

Count = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
TagValue = Annotated[str, Meta(max_length=MAX_TAG_VALUE_LENGTH)]
Amount = Annotated[int, Meta(ge=0, le=MAX_CHARGE_NANO)]
Status = Annotated[int, Meta(ge=100, le=599)]
Failure = Annotated[str, Meta(pattern=rf"\A(?:{FAILURE_CODE})?\Z")]

# The same fields in the same order as Quantities, with declared bounds; unknown kinds are refused.
_Usage = msgspec.defstruct(
    "_Usage", [(kind, Count, 0) for kind in ALL_KINDS], frozen=True, gc=False, forbid_unknown_fields=True
)  # fmt: skip
_UNSTATED, _ESTIMATED, _MEASURED = QuantityGrade.UNSTATED, QuantityGrade.ESTIMATED, QuantityGrade.MEASURED
_NOTHING = (0,) * len(ALL_KINDS)
_ROUTES_STATED = frozenset({"", ROUTED, PROVIDER_KEY, SERVERLESS})


class _Record(Struct, gc=False, forbid_unknown_fields=True):
    """A native event in JSON, with the bounds of every field."""

    id: Name | None = None
    source: Name | None = None
    time: Name | None = None
    account: Name | None = None
    provider: Name | None = None
    model: Name | None = None
    operation: Name | None = None
    route: Name | None = None
    status: Status | None = None
    usage: _Usage | None = None  # type: ignore[valid-type]
    response_id: Name | None = None
    inference_id: Name | None = None
    project: Name | None = None
    key: Name | None = None
    tags: Annotated[dict[TagValue, TagValue], Meta(max_length=MAX_TAGS)] | None = None
    latency_ms: Count | None = None
    reported_cost_nano_usd: Amount | None = None
    gateway_cost_nano_usd: Amount | None = None
    response_model: Name | None = None
    estimate_reason: Name | None = None
    failure: Failure | None = None


NATIVE_FIELDS: tuple[str, ...] = _Record.__struct_fields__
_decode = msgspec.json.Decoder(_Record).decode


class NativeReader:
    """Reads native events."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._options = reading.options

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event of one record. Raises RecordError."""
        try:
            record = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._read_field_by_field(raw)
        return self._event_of(record, raw) or self._read_field_by_field(raw)

    def _event_of(self, record: _Record, raw: bytes) -> UsageEvent | None:
        """Return the event of a record that could be decoded; None if it needs to be read field by field."""
        options = self._options
        usage: Any = record.usage
        amounts = _NOTHING if usage is None else astuple(usage)
        reading = self._reading
        route = record.route or reading.route
        model = record.model or options.model
        if (
            (usage is not None and usage.reasoning_tokens > usage.output_tokens + usage.output_audio_tokens)
            or route not in _ROUTES_STATED
            or not (record.time and model)
            or (options.require_id and not record.id)
            or (b"\\" in raw and b"\\u0000" in raw)  # the decoded record no longer shows whether a NUL was escaped
        ):
            return None
        name, provider = served_by(model, record.provider or "", options.provider)
        return UsageEvent(  # in the order of its fields
            record.id or "",
            record.source or options.source,
            reading.times.event_time(record.time),
            name,
            provider,
            record.operation or options.operation or "chat",
            record.account or options.account,
            route,
            record.status,
            Quantities(*amounts),
            _UNSTATED if amounts == _NOTHING else _ESTIMATED if record.estimate_reason else _MEASURED,
            record.estimate_reason or "",
            False,  # noqa: FBT003 - time_derived
            record.response_id or "",
            record.inference_id or "",
            record.project or options.project,
            record.key or options.key,
            record.tags or {},
            record.latency_ms,
            record.reported_cost_nano_usd,
            record.gateway_cost_nano_usd,
            record.response_model or "",
            record.failure or "",
        )

    def kept(self, raw: bytes) -> dict[str, str]:
        """Return the fields of a rejected record that quarantine may keep."""
        try:
            return kept_fields(json_object(raw))
        except RecordError:
            return {}

    def _read_field_by_field(self, raw: bytes) -> UsageEvent:
        record = json_object(raw)
        options = self._options
        time = self._time(record)
        model = text_field(record, "model") or options.model
        if not model:
            raise RecordError("missing_model", "the record has no model; add one, or set one for the whole input", "model")
        name, provider = served_by(model, text_field(record, "provider"), options.provider)
        event_id = text_field(record, "id")
        if not event_id and options.require_id:
            raise RecordError("missing_id", "an event needs an id, so that sending it again does not count it twice", "id")
        estimate_reason = text_field(record, "estimate_reason")
        quantities = self._usage(record)
        latency = record.get("latency_ms")
        event = UsageEvent(
            id=event_id,
            source=text_field(record, "source") or options.source,
            time=time,
            model=name,
            provider=provider,
            operation=text_field(record, "operation") or options.operation or "chat",
            account=text_field(record, "account") or options.account,
            route=route_field(record.get("route")) or self._reading.route,
            status=status_field(record.get("status")),
            quantities=Quantities() if quantities is None else quantities,
            quantity_grade=grade_of(quantities, estimate_reason),
            estimate_reason=estimate_reason,
            response_id=text_field(record, "response_id"),
            inference_id=text_field(record, "inference_id"),
            project=text_field(record, "project") or options.project,
            key=text_field(record, "key") or options.key,
            tags=self._tags(record),
            latency_ms=None if latency is None else count_field(latency, "latency_ms"),
            reported_cost_nano=amount_field(record.get("reported_cost_nano_usd"), "reported_cost_nano_usd"),
            gateway_cost_nano=amount_field(record.get("gateway_cost_nano_usd"), "gateway_cost_nano_usd"),
            response_model=text_field(record, "response_model"),
            failure=failure_field(record.get("failure")),
        )
        return msgspec.structs.replace(event, time=self._reading.times.settle(time))

    def _time(self, record: dict[str, Any]) -> int:
        stated = record.get("time")
        if stated is None or stated == "":
            raise RecordError("missing_time", "the record has no time; add one such as 2026-11-03T10:15:00Z", "time")
        if not isinstance(stated, str):
            raise RecordError("invalid_time", "time must be a string such as 2026-11-03T10:15:00Z", "time")
        return self._reading.times.read_text(kept_text(stated, "time"))

    def _usage(self, record: dict[str, Any]) -> Quantities | None:
        """Return the stated quantities; None for no usage, or one of nothing but zeros."""
        usage = record.get("usage")
        if usage is None or usage == {}:
            return None
        if not isinstance(usage, dict):
            raise RecordError("wrong_type", "usage must be an object of counts", "usage")
        counts = {}
        for kind, count in usage.items():
            if kind in ALL_KINDS:
                if count is not None:
                    counts[kind] = count_field(count, f"usage.{kind}")
            elif count is None or f"usage.{kind}" in self._options.tag_fields:  # known to be no quantity
                continue
            elif count == 0 or (kind == REQUESTS and count == 1):
                self._reading.unread.note(f"usage.{kind}")
            else:
                # Dropping it would leave a quantity uncharged.
                raise RecordError(
                    "invalid_quantity",
                    f"usage.{kind[:40]} is not a kind of quantity such as {', '.join(TEXT_KINDS)}; for OpenAI's names use"
                    " the format openai",
                    "usage",
                )
        return require_reasoning_inside_output(Quantities(**counts), "usage.reasoning_tokens") if any(counts.values()) else None

    def _tags(self, record: dict[str, Any]) -> dict[str, str]:
        tags = tags_field(record.get("tags"))
        tag_fields = self._options.tag_fields
        for name in tag_fields:
            value = None if name in _KNOWN else value_at(name, record)
            if value is not None:
                tags[name] = tag_text(value, name)
        for name, value in record.items():
            if name not in _KNOWN and value is not None:
                self._reading.unread.note(name)
        return limited_tags(tags)


_KNOWN = frozenset(NATIVE_FIELDS)

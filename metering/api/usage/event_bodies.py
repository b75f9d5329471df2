"""The bodies of ``POST /v1/events``: their media types, and how each is decoded into events."""

from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Query, Request

from metering.domain.errors import DomainError
from metering.domain.usage.events import MAX_NAME_LENGTH, DecodedBlock, UsageEvent
from metering.formats.blocks import BlockDecoder
from metering.formats.cloudevents import native_from_cloudevent
from metering.formats.csv_columns import parse_columns
from metering.formats.native import NativeReader
from metering.formats.options import DecodeOptions
from metering.web.bodies import JSON, check_media_type, read_body
from metering.web.principal import ServiceNow
from metering.web.problems import ApiProblem, FieldError
from metering.web.query import listed

NDJSON = "application/x-ndjson"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
CSV = "text/csv"
MEDIA_TYPES = (JSON, NDJSON, "application/ndjson", "application/jsonl", CLOUDEVENT, CLOUDEVENTS, CSV)

LogFormat = Literal["native", "openai", "csv"]

_WHITE_SPACE = b"\xef\xbb\xbf \t\r\n"


class EventBody(NamedTuple):
    """A request body with events, decompressed."""

    media: str
    data: bytes


class CloudEventReader(NativeReader):
    """Reads native events from CloudEvents envelopes."""

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event in an envelope. Raises RecordError."""
        return super().read(native_from_cloudevent(raw))


class CloudEventDecoder(BlockDecoder):
    """Decodes a document with one CloudEvent, or an array of them."""

    def __init__(self, options: DecodeOptions) -> None:
        super().__init__("native", options)
        self._reader = CloudEventReader(self._reading)


async def event_body(request: Request, service: ServiceNow) -> EventBody:
    """Return the body of a request that sends events. Raises ApiProblem."""
    media = check_media_type(request, *MEDIA_TYPES)
    return EventBody(media, await read_body(request, service.settings.max_body_bytes))


def _default_for(what: str, example: str) -> Any:
    return Query(max_length=MAX_NAME_LENGTH, description=f"{what} of records that do not state one.", examples=[example])


def query_options(
    *,
    source: Annotated[str, _default_for("The source, which is part of an event's identity,", "gateway-1")] = "api",
    provider: Annotated[str, _default_for("The provider", "together")] = "",
    model: Annotated[str, _default_for("The model", "meta-llama/Llama-3.3-70B-Instruct")] = "",
    operation: Annotated[str, _default_for("The operation", "chat")] = "",
    route: Annotated[
        Literal["", "routed", "provider_key", "serverless"],
        Query(description="The billing route of records that do not state one.", examples=["routed"]),
    ] = "",
    project: Annotated[str, _default_for("The project", "search")] = "",
    key: Annotated[str, _default_for("The caller's key", "prod-1")] = "",
    zone: Annotated[
        str,
        Query(
            max_length=64,
            description="The IANA time zone of times without one. Default: records with such times are rejected.",
            examples=["Europe/Berlin"],
        ),
    ] = "",
    columns: Annotated[
        list[str] | None,
        Query(
            max_length=100,
            description="For CSV: the column of each event field, as `field=column`, separated by commas.",
            examples=[["time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens"]],
        ),
    ] = None,
    tag_fields: Annotated[
        list[str] | None,
        Query(max_length=100, description="Record fields to keep as tags, separated by commas.", examples=[["team,region"]]),
    ] = None,
) -> DecodeOptions:
    """Return the values that the query sets for records that do not state them."""
    return DecodeOptions(
        source=source or "api",
        now=0,
        provider=provider,
        model=model,
        operation=operation,
        route=route,
        project=project,
        key=key,
        zone=zone,
        columns=_columns(listed(columns)),
        tag_fields=listed(tag_fields),
    )


QueryOptions = Annotated[DecodeOptions, Depends(query_options)]
EventBodyNow = Annotated[EventBody, Depends(event_body)]


def format_of(media: str, requested: LogFormat | None) -> LogFormat:
    """Return the log format of a body. Raises ApiProblem if its media type does not allow the requested format."""
    implied: LogFormat = "csv" if media == CSV else "native"
    if requested is None or requested == implied:
        return implied
    if requested == "openai" and media not in (CSV, CLOUDEVENT, CLOUDEVENTS):
        return requested
    expected = CSV if requested == "csv" else f"{JSON} or {NDJSON}"
    raise ApiProblem("unsupported_media_type", f"format={requested} requires {expected}, but the body is declared as {media}")


def decode_body(body: EventBody, log_format: LogFormat, options: DecodeOptions) -> DecodedBlock:
    """Decode a body into events. Raises LogFormatError if it cannot be split into records, or lacks columns."""
    if body.media in (CLOUDEVENT, CLOUDEVENTS):
        _require_content(body, "one CloudEvent, or an array of them as application/cloudevents-batch+json")
        if body.media == CLOUDEVENTS and not body.data.lstrip().startswith(b"["):
            raise ApiProblem("not_json", "a batch of CloudEvents must be a JSON array")
        return CloudEventDecoder(options).decode_document(body.data)
    decoder = BlockDecoder(log_format, options)
    if body.media == JSON:
        _require_content(body, "one event as a JSON object, an array of events, or one event per line as application/x-ndjson")
        return decoder.decode_document(body.data)
    return decoder.decode_whole(body.data)


def _require_content(body: EventBody, expected: str) -> None:
    """Raise ApiProblem ``not_json`` for an empty document. An empty log, in contrast, is valid: it has no lines."""
    if not body.data.strip(_WHITE_SPACE):
        raise ApiProblem("not_json", f"the body is empty; send {expected}")


def _columns(pairs: tuple[str, ...]) -> dict[str, str]:
    try:
        return parse_columns(pairs)
    except DomainError as error:
        detail = f"columns: {error}"
        raise ApiProblem("invalid_request", detail, errors=[FieldError("query.columns", "invalid_request", detail)]) from None

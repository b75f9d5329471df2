"""The bodies of ``POST /v1/events``: which media types there are, and how each is read into events."""

from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Query, Request

from metering.domain.errors import LogFormatError
from metering.domain.usage.events import MAX_NAME_LENGTH, DecodedBlock, UsageEvent
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.cloudevents import native_from_cloudevent
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

# A document that can not be read at all is the request's fault, not that of one record in it.
_UNREADABLE = frozenset({"not_json", "truncated_line", "invalid_utf8", "nul_byte"})


class SentBody(NamedTuple):
    """A body as it was sent, unpacked."""

    media: str
    data: bytes


class ReadBody(NamedTuple):
    """A body that was read. ``by_index``: positions are 0-based items of an array, else lines from 1."""

    block: DecodedBlock
    format: LogFormat
    by_index: bool


class CloudEventReader(NativeReader):
    """Reads native events out of the envelopes of CloudEvents."""

    def read(self, raw: bytes) -> UsageEvent:
        """Return the event in an envelope. Raises RecordError."""
        return super().read(native_from_cloudevent(raw))


class CloudEventDecoder(BlockDecoder):
    """Decodes a document of CloudEvents: one, or an array."""

    def __init__(self, options: DecodeOptions) -> None:
        super().__init__("native", options)
        self._reader = CloudEventReader(self._reading)


async def sent_body(request: Request, service: ServiceNow) -> SentBody:
    """Return the body of a request that sends events. Raises ApiProblem."""
    media = check_media_type(request, *MEDIA_TYPES)
    return SentBody(media, await read_body(request, service.settings.max_body_bytes))


def _stands_in(what: str, example: str) -> Any:
    return Query(max_length=MAX_NAME_LENGTH, description=f"{what} of records that state none.", examples=[example])


def stated_options(
    *,
    source: Annotated[str, _stands_in("The source, which is part of an event's identity,", "gateway-1")] = "api",
    provider: Annotated[str, _stands_in("The provider", "together")] = "",
    model: Annotated[str, _stands_in("The model", "meta-llama/Llama-3.3-70B-Instruct")] = "",
    operation: Annotated[str, _stands_in("The operation", "chat")] = "",
    route: Annotated[
        Literal["", "routed", "provider_key", "serverless"],
        Query(description="The route of records that state none.", examples=["routed"]),
    ] = "",
    project: Annotated[str, _stands_in("The project", "search")] = "",
    key: Annotated[str, _stands_in("The caller's key", "prod-1")] = "",
    zone: Annotated[
        str,
        Query(
            max_length=64,
            description="The IANA zone of times that carry none; without it, such records are rejected.",
            examples=["Europe/Berlin"],
        ),
    ] = "",
    columns: Annotated[
        list[str] | None,
        Query(
            max_length=100,
            description="For CSV: which column holds which event field, as `field=column`, separated by commas.",
            examples=[["time=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens"]],
        ),
    ] = None,
    tag_fields: Annotated[
        list[str] | None,
        Query(max_length=100, description="Record fields to keep as tags, separated by commas.", examples=[["team,region"]]),
    ] = None,
) -> DecodeOptions:
    """Return what the query says about records that do not say it themselves."""
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


Stated = Annotated[DecodeOptions, Depends(stated_options)]
Sent = Annotated[SentBody, Depends(sent_body)]


def format_of(media: str, stated: LogFormat | None) -> LogFormat:
    """Return the log format of a body. Raises ApiProblem where the media type and ``?format=`` contradict each other."""
    implied: LogFormat = "csv" if media == CSV else "native"
    if stated is None or stated == implied:
        return implied
    if stated == "openai" and media not in (CSV, CLOUDEVENT, CLOUDEVENTS):
        return stated
    wanted = CSV if stated == "csv" else f"{JSON} or {NDJSON}"
    raise ApiProblem("unsupported_media_type", f"format={stated} is sent as {wanted}, this is declared as {media}")


def read_events(sent: SentBody, log_format: LogFormat, options: DecodeOptions) -> ReadBody:
    """Read a body into events. Raises LogFormatError for one that can not be split into records, or has no columns."""
    if sent.media in (CLOUDEVENT, CLOUDEVENTS):
        _refuse_nothing(sent, "one CloudEvent, or an array of them as application/cloudevents-batch+json")
        if sent.media == CLOUDEVENTS and not sent.data.lstrip().startswith(b"["):
            raise ApiProblem("not_json", "a batch of CloudEvents is a JSON array")
        return _document(CloudEventDecoder(options), sent.data, log_format)
    decoder = BlockDecoder(log_format, options)
    if sent.media == JSON:
        _refuse_nothing(sent, "one event as a JSON object, an array of events, or one event a line as application/x-ndjson")
        return _document(decoder, sent.data, log_format)
    return ReadBody(decoder.decode(RawBlock(sent.data, 1, 0)), log_format, by_index=False)


def _refuse_nothing(sent: SentBody, expected: str) -> None:
    """Raise ApiProblem ``not_json`` for a document of nothing; a log of no lines is a log all the same."""
    if not sent.data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ApiProblem("not_json", f"the body is empty; send {expected}")


def _document(decoder: BlockDecoder, data: bytes, log_format: LogFormat) -> ReadBody:
    block = decoder.decode_document(data)
    if len(block.rejected) == 1 and not block.events and not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        refused = block.rejected[0]
        if refused.code in _UNREADABLE:
            raise LogFormatError(refused.reason, "not_json")
    return ReadBody(block, log_format, by_index=True)


def _columns(pairs: tuple[str, ...]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not (field and equals and column):
            detail = f"columns: write field=column, got {pair[:60]!r}"
            raise ApiProblem("invalid_request", detail, errors=[FieldError("query.columns", "invalid_request", detail)])
        columns[field.strip()] = column.strip()
    return columns

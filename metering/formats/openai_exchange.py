"""A recorded HTTP exchange, in the spellings that loggers use: request and response, headers and bodies, streams too.

Any program may have written a record, so no value is assumed to have the expected type. The content of messages is never read.
"""

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from metering.domain.usage.model_names import PROVIDERS, provider_name
from metering.formats.json_records import nested_json
from metering.formats.stream_body import body_of_chunks, body_of_stream

ROUTER_HOST = "router.huggingface.co"
_BODY_NAMES = ("body", "parsed_body", "json")
_URL_NAMES = ("url", "uri")
_REQUEST_BODY_SIGNS = ("model", "messages", "prompt", "input")
_RESPONSE_BODY_SIGNS = (
    "usage", "choices", "object", "error", "model", "data", "output", "usageMetadata", "usage_metadata", "meta", "results",
    "images", "type",
)  # fmt: skip

# The operation by the end of the path. Named as in OpenTelemetry's gen_ai.operation.name, if it has a name.
_OPERATION_OF_PATH = (
    ("/chat/completions", "chat"),
    ("/completions", "text_completion"),
    ("/responses", "chat"),
    ("/messages", "chat"),
    ("/embeddings", "embeddings"),
    ("/feature-extraction", "embeddings"),
    ("/images/generations", "image_generation"),
    ("/images/edits", "image_generation"),
    ("/images/variations", "image_generation"),
    ("/text-to-image", "image_generation"),
    ("/audio/transcriptions", "transcription"),
    ("/audio/translations", "transcription"),
    ("/audio/speech", "speech"),
    ("/text-to-speech", "speech"),
    ("/automatic-speech-recognition", "transcription"),
    ("/rerank", "rerank"),
)
_OPERATION_OF_OBJECT = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "text_completion": "text_completion",
    "response": "chat",
    "embedding": "embeddings",
}


class Exchange(Struct):
    """One request and its response. Bodies and headers that were not recorded are empty; header names are lowercase.

    ``is_collected``: the response is a stream that was recorded in one piece, or that was collected from its chunks.
    ``is_wrapped``: the response is part of a logger's record, whose ID is the logger's own.
    """

    request: dict[str, Any]
    response: dict[str, Any]
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    host: str
    path: str
    status: object
    is_collected: bool = False
    is_wrapped: bool = False


def exchange_of(record: dict[str, Any]) -> Exchange:
    """Read ``{request, response}``, or a response body, with or without its ``request``."""
    if "request" not in record and "response" not in record:
        return Exchange({}, record, {}, {}, "", "", _status(record))
    request, response = _part(record, "request"), _part(record, "response")
    host, path = _address(request)
    is_wrapped = "response" in record
    body, is_collected = _response_body(record, response) if is_wrapped else (record, False)
    return Exchange(
        request=_body(request, _REQUEST_BODY_SIGNS)[0],
        response=body,
        request_headers=_headers(request),
        response_headers=_headers(response),
        host=host,
        path=path,
        status=_status_around(record, response) if is_wrapped else _status(record),
        is_collected=is_collected,
        is_wrapped=is_wrapped,
    )


def provider_in_path(exchange: Exchange) -> str:
    """Return the provider in a router URL (``/together/v1/...``); empty for ``/v1/...`` and for other hosts."""
    if exchange.host != ROUTER_HOST:
        return ""
    first = exchange.path.lstrip("/").partition("/")[0]
    return first if provider_name(first) in PROVIDERS else ""


def model_in_path(exchange: Exchange) -> str:
    """Return the model in a router URL (``/hf-inference/models/{model}/pipeline/...``), else empty."""
    if exchange.host != ROUTER_HOST:
        return ""
    _, separator, rest = exchange.path.partition("/models/")
    return rest.partition("/pipeline/")[0].strip("/") if separator else ""


def was_routed(exchange: Exchange) -> bool:
    """Whether the URL or a header shows that the request went through the router."""
    headers = exchange.response_headers
    return exchange.host == ROUTER_HOST or "x-inference-provider" in headers or any(h.startswith("x-router-") for h in headers)


def operation_of(exchange: Exchange) -> str:
    """Return the operation, from the path or the kind of the response; empty if neither shows it."""
    for ending, operation in _OPERATION_OF_PATH:
        if exchange.path.endswith(ending):
            return operation
    body = exchange.response
    named = _OPERATION_OF_OBJECT.get(body["object"]) if isinstance(body.get("object"), str) else None
    if named:
        return named
    first = _first_item(body, "data") or _first_item(body, "images") or _first_item(body, "results")
    if first.get("object") == "embedding":
        return "embeddings"
    if "b64_json" in first or "url" in first:
        return "image_generation"
    return "rerank" if "relevance_score" in first else ""


def _first_item(body: dict[str, Any], name: str) -> dict[str, Any]:
    items = body.get(name)
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else {}


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if isinstance(value, str):
        value = nested_json(value)
    return value if isinstance(value, dict) else {}


def _response_body(record: dict[str, Any], response: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    recorded = record["response"]
    if isinstance(recorded, list) or (isinstance(recorded, str) and not response):
        return _object(recorded)  # the chunks of a stream, or its text
    return _body(response, _RESPONSE_BODY_SIGNS)


def _body(part: dict[str, Any], signs: tuple[str, ...]) -> tuple[dict[str, Any], bool]:
    for name in _BODY_NAMES:
        if part.get(name) is not None:
            return _object(part[name])
    return part if any(sign in part for sign in signs) else {}, False


def _object(value: object) -> tuple[dict[str, Any], bool]:
    """Return a body as an object, and whether it was collected from a stream.

    It may be an object already, ``{"string": ...}``, JSON text, or the text or the chunks of a stream.
    """
    if isinstance(value, dict):
        return _object(value["string"]) if isinstance(value.get("string"), str) else (value, False)
    if isinstance(value, list):
        return body_of_chunks(value), True
    if not isinstance(value, str):
        return {}, False
    text = value.lstrip()
    if text.startswith(("{", "[")):
        decoded = nested_json(text)
        return _object(decoded) if isinstance(decoded, dict | list) else ({}, False)
    return (body_of_stream(text), True) if "data:" in text else ({}, False)


def _headers(part: dict[str, Any]) -> dict[str, str]:
    headers = part.get("headers")
    if isinstance(headers, dict):
        pairs = list(headers.items())
    elif isinstance(headers, list):
        pairs = [(h.get("name"), h.get("value")) for h in headers if isinstance(h, dict)]
        pairs += [(h[0], h[1]) for h in headers if isinstance(h, list) and len(h) == 2]
    else:
        return {}
    flat = {}
    for name, value in pairs:
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(name, str) and isinstance(first, str):
            flat[name.lower()] = first.strip()
    return flat


def _address(request: dict[str, Any]) -> tuple[str, str]:
    for name in _URL_NAMES:
        url = request.get(name)
        if isinstance(url, str):
            try:
                parts = urlsplit(url)
            except ValueError:
                continue
            return (parts.hostname or "").lower(), parts.path.rstrip("/")
    return "", ""


def _status_around(record: dict[str, Any], response: dict[str, Any]) -> object:
    """Return the status of a response, or the one that the logger put next to it, if it is an HTTP status."""
    status = _status(response)
    if status is not None:
        return status
    outer = _status(record)
    return outer if isinstance(outer, int) and not isinstance(outer, bool) and 100 <= outer <= 599 else None


def _status(part: dict[str, Any]) -> object:
    """Return the HTTP status. A word ("completed", "success") is not an HTTP status and is ignored."""
    for name in ("status_code", "status"):
        value = part.get(name)
        if isinstance(value, dict):
            value = value.get("code")
        if isinstance(value, str):
            value = int(value) if len(value) == 3 and value.isascii() and value.isdecimal() else None
        if value is not None:
            return value
    return None

"""Read a request body: its media type, its encoding, its bytes. ``body_limit`` enforces the size limit."""

import zlib
from typing import NamedTuple

from starlette.requests import Request

from metering.web.problems import ApiProblem

JSON = "application/json"

_GZIP_WINDOW = 31  # zlib's code for a gzip header and the largest window


class MediaType(NamedTuple):
    """A media type in lowercase without its parameters, and its charset parameter."""

    name: str
    charset: str


def media_type(request: Request) -> MediaType:
    """Return the declared media type of a body; empty if there is none."""
    name, *parameters = (part.strip() for part in request.headers.get("content-type", "").split(";"))
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return MediaType(name.lower(), charset)


def check_media_type(request: Request, *supported: str) -> str:
    """Return the body's media type if it is supported and UTF-8. Raises ApiProblem ``unsupported_media_type``."""
    declared = media_type(request)
    if declared.name not in supported:
        shown = f"has the media type {declared.name[:60]!r}" if declared.name else "has no media type"
        raise _unsupported(f"the body {shown}; send {', '.join(supported)}", {"accept": ", ".join(supported)})
    if declared.charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise _unsupported("the body must be UTF-8")
    return declared.name


async def require_json(request: Request) -> None:
    """Refuse a body that is not declared as uncompressed JSON. A dependency of routes with a JSON body."""
    check_media_type(request, JSON)
    if _encoding(request) not in ("", "identity"):
        raise _unsupported("this route does not accept a compressed body", {"accept-encoding": "identity"})


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, decompressed if it is gzip: at most ``limit`` bytes. Raises ApiProblem."""
    encoding = _encoding(request)
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise _unsupported("the body must be uncompressed or gzip", {"accept-encoding": "gzip, identity"})
    body = await _receive(request)
    return body if encoding in ("", "identity") else _decompress(body, limit)


async def _receive(request: Request) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ApiProblem("malformed_request", "the client disconnected before sending the whole body")
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _encoding(request: Request) -> str:
    return ", ".join(request.headers.getlist("content-encoding")).strip().lower()


def _decompress(body: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        content = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise ApiProblem("invalid_encoding", "the body is declared as gzip, but is not") from None
    if len(content) > limit:
        raise ApiProblem("body_too_large", f"the decompressed body is over {limit:,} bytes; send it in several requests")
    if not decompressor.eof or decompressor.unused_data:
        raise ApiProblem("invalid_encoding", "the gzip data is cut off, or has data after it")
    return content


def _unsupported(detail: str, headers: dict[str, str] | None = None) -> ApiProblem:
    return ApiProblem("unsupported_media_type", detail, headers=headers)

"""Reading a request's body: its media type, its encoding, its bytes. The size limit is kept by ``body_limit``."""

import zlib
from typing import NamedTuple

from starlette.requests import Request

from metering.web.problems import ApiProblem

JSON = "application/json"

_GZIP_WINDOW = 31  # zlib's code for: a gzip header, the largest window


class MediaType(NamedTuple):
    """A media type in lower case without its parameters, and the charset that it states."""

    name: str
    charset: str


def media_type(request: Request) -> MediaType:
    """Return the media type that a body is declared to have; empty for none."""
    name, *parameters = (part.strip() for part in request.headers.get("content-type", "").split(";"))
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return MediaType(name.lower(), charset)


def check_media_type(request: Request, *known: str) -> str:
    """Return the body's media type if it is one of ``known``, in UTF-8. Raises ApiProblem ``unsupported_media_type``."""
    declared = media_type(request)
    if declared.name not in known:
        shown = declared.name[:60] or "nothing"
        raise _unsupported(f"the body is declared as {shown!r}; send {', '.join(known)}", {"accept": ", ".join(known)})
    if declared.charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise _unsupported("the body must be UTF-8")
    return declared.name


async def require_json(request: Request) -> None:
    """Refuse a body that is not declared as plain JSON. A dependency of routes that take one."""
    check_media_type(request, JSON)
    if _encoding(request) not in ("", "identity"):
        raise _unsupported("the body must not be compressed here", {"accept-encoding": "identity"})


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, unpacked where it is gzip: at most ``limit`` bytes. Raises ApiProblem."""
    encoding = _encoding(request)
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise _unsupported("the body must be sent as it is or as gzip", {"accept-encoding": "gzip, identity"})
    body = await _received(request)
    return body if encoding in ("", "identity") else _unpacked(body, limit)


async def _received(request: Request) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ApiProblem("malformed_request", "the request ended before its body did")
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _encoding(request: Request) -> str:
    return ", ".join(request.headers.getlist("content-encoding")).strip().lower()


def _unpacked(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise ApiProblem("invalid_encoding", "the body is declared as gzip and is not") from None
    if len(content) > limit:
        raise ApiProblem("body_too_large", f"the body has more than {limit} bytes when it is unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise ApiProblem("invalid_encoding", "the gzip data is cut off, or something follows it")
    return content


def _unsupported(detail: str, headers: dict[str, str] | None = None) -> ApiProblem:
    return ApiProblem("unsupported_media_type", detail, headers=headers)

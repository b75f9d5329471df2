"""Reading a response under a size limit: decompression stops at the limit."""

import zlib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from metering.outbound.fetch_results import FetchedDocument, NotJsonError, TooLargeError, UnreachableError

_GZIP_WINDOW = 31  # zlib's code for: a gzip header, the largest window
_LONGEST_SECONDS = 9  # digits
_LONGEST_ETAG = 500


def read_document(response: httpx.Response, max_bytes: int) -> FetchedDocument:
    """Read the body of a 200. Raises NotJsonError, TooLargeError, and UnreachableError for a truncated body."""
    _check_json(response)
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(response, max_bytes)
    parts: list[bytes] = []
    size = 0
    for part in _decompressed(response, max_bytes):
        size += len(part)
        if size > max_bytes:
            raise _too_large(response, max_bytes)
        parts.append(part)
    return FetchedDocument(b"".join(parts), validator(response.headers))


def validator(headers: httpx.Headers) -> str:
    """Return the ``ETag``; empty if there is none or it cannot be sent back unchanged."""
    etag: str = headers.get("etag", "")
    return etag if len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable() else ""


def retry_after(headers: httpx.Headers) -> float | None:
    """Return ``Retry-After`` in seconds; None if it is missing or malformed.

    A date is compared with the response's own ``Date``, because the two clocks may differ.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:_LONGEST_SECONDS])
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None


def _check_json(response: httpx.Response) -> None:
    declared = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared == "application/json" or (declared.startswith("application/") and declared.endswith("+json")):
        return
    media_type = {"text/html": "HTML", "": "an undeclared type"}.get(declared, declared[:60])
    raise NotJsonError(f"{response.url} returned {media_type} instead of JSON")


def _decompressed(response: httpx.Response, max_bytes: int) -> Iterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise NotJsonError(f"{response.url} used the encoding {encoding[:40]!r}, which was not requested")
    decompressor = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        for compressed in response.iter_raw():
            # One byte over the limit is enough to detect it; a decompression bomb expands no further.
            yield decompressor.decompress(compressed, max_bytes + 1)
            if decompressor.unused_data:
                raise NotJsonError(f"{response.url}: unexpected data after the end of the gzip stream")
    except zlib.error:
        raise NotJsonError(f"{response.url} declared its response as gzip, but it is not") from None
    if not decompressor.eof:
        raise UnreachableError(f"{response.url}: the gzip stream is truncated")


def _too_large(response: httpx.Response, max_bytes: int) -> TooLargeError:
    return TooLargeError(f"{response.url} returned more than {max_bytes} bytes")

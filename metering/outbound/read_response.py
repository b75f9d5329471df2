"""Reading an answer under a size limit: unpacked bytes are counted while they arrive, and never unpacked beyond it."""

import zlib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from metering.outbound.fetch_results import FetchedDocument, NotJsonError, TooLargeError, UnreachableError

_GZIP_WINDOW = 31  # zlib's code for: a gzip header, the largest window
_LONGEST_SECONDS = 9  # digits
_LONGEST_ETAG = 500


def read_document(response: httpx.Response, max_bytes: int) -> FetchedDocument:
    """Read the body of a 200. Raises NotJsonError, TooLargeError; UnreachableError for a body that is cut off."""
    _check_json(response)
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(response, max_bytes)
    parts: list[bytes] = []
    size = 0
    for part in _unpacked(response, max_bytes):
        size += len(part)
        if size > max_bytes:
            raise _too_large(response, max_bytes)
        parts.append(part)
    return FetchedDocument(b"".join(parts), validator(response.headers))


def validator(headers: httpx.Headers) -> str:
    """Return the ``ETag``; empty for none, and for one that could not be sent back as it came."""
    etag: str = headers.get("etag", "")
    return etag if len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable() else ""


def retry_after(headers: httpx.Headers) -> float | None:
    """Return how many seconds a source asks to be left alone; None where it does not say, or not so that it can be read.

    A date is taken against the answer's own ``Date``: the two clocks need not agree.
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
    named = {"text/html": "HTML", "": "something that is not declared"}.get(declared, declared[:60])
    raise NotJsonError(f"{response.url} answers with {named} instead of JSON")


def _unpacked(response: httpx.Response, max_bytes: int) -> Iterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise NotJsonError(f"{response.url} answers in the encoding {encoding[:40]!r}, which was not asked for")
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        for packed in response.iter_raw():
            # One byte more than is allowed tells that there is more; a bomb is unpacked no further than that.
            yield unpacker.decompress(packed, max_bytes + 1)
            if unpacker.unused_data:
                raise NotJsonError(f"{response.url}: something follows the gzip data")
    except zlib.error:
        raise NotJsonError(f"{response.url} answers with something that is declared as gzip and is not") from None
    if not unpacker.eof:
        raise UnreachableError(f"{response.url}: the gzip data is cut off")


def _too_large(response: httpx.Response, max_bytes: int) -> TooLargeError:
    return TooLargeError(f"{response.url} answers with more than {max_bytes} bytes")

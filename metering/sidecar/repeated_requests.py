"""Requests that repeat the head of the last one on their connection, byte for byte, but for the number in Content-Length.

SDKs send the same head for each request, and parsing it takes a quarter of what a request costs. The same bytes on the same
connection mean the same, so a request that arrives whole, right after another was answered, needs no parser.
"""

import re

from metering.sidecar.heads import RequestHead

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_MAX_DIGITS = 18


class RepeatedRequests:
    """The last head of one connection."""

    def __init__(self) -> None:
        self._head: RequestHead | None = None
        self._before = b""
        self._after = b""

    def remember(self, data: bytes, head: RequestHead) -> None:
        """Remember the head that ``data`` begins with, which the parser has accepted."""
        self._head = None
        if not head.length or head.expects_continue:
            return
        end = data.find(b"\r\n\r\n")
        found = _LENGTH.search(data, 0, end + 2)
        if end < 0 or found is None or int(found[1]) != head.length:
            return
        self._head = head
        self._before, self._after = data[: found.start(1)], data[found.end(1) : end + 4]

    def match(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return the head and the body if ``data`` is one whole request with the remembered head; else None."""
        last, before = self._head, self._before
        if last is None or not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MAX_DIGITS + 1)
        digits = data[start:end]
        # ``isdigit`` of bytes is true for ASCII digits only.
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        length = int(digits)
        if not length or len(body) != length:
            return None
        head = RequestHead(
            last.method, last.target, last.headers, last.version, last.keep_alive, length, last.expects_continue, last.derived
        )
        return head, body

"""The heads of requests and answers: what is passed on, what belongs to one connection only, and what is refused.

Bodies are always framed again, so a request whose length two servers could read differently never reaches the upstream.
Source of the rules: RFC 9110 (section 7.6.1, fields of one connection) and RFC 9112 (sections 6 and 11.2, message length and
request smuggling).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from msgspec import Struct, field

Headers = list[tuple[bytes, bytes]]
"""Names in lowercase with their values, in the order in which they arrived."""

_OF_ONE_CONNECTION = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
# Written again for the upstream, or of the sidecar alone.
_REPLACED = frozenset({b"host", b"content-length", b"expect"})
# What decides how a request is read: two of one name could be read differently.
_DECISIVE = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
OWN_PREFIX = b"x-metering-"

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNCLEAN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(rb"/[\x21-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class BadHeadError(Exception):
    """A head that is refused. ``code`` is stable; the message is for people."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Derived(Struct):
    """What was derived from a head, other than the length of its body: the labels of its caller, and the start of the head for
    the upstream. A connection keeps it for its next request, because most have the same head again.
    """

    caller: Any = None
    upstream_start: bytes = b""
    upstream_terms: tuple[bytes, bool, Sequence[tuple[bytes, bytes]]] | None = None


class RequestHead(Struct):
    """The head of a request. ``length`` is the stated length of its body; None for a chunked body, 0 for none."""

    method: bytes
    target: bytes
    headers: Headers
    version: str
    keep_alive: bool
    length: int | None
    expects_continue: bool
    derived: Derived = field(default_factory=Derived)

    @property
    def path(self) -> str:
        """The path of the target, without the query."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def value(self, name: bytes) -> bytes:
        """Return the first value of a header; empty if there is none."""
        for each, value in self.headers:
            if each == name:
                return value
        return b""


def checked_head(
    method: bytes, target: bytes, headers: Headers, version: str, *, keep_alive: bool, max_target: int
) -> RequestHead:
    """Return the head of a request. Raises BadHeadError for one that servers could read differently, or that is refused."""
    if version not in ("1.0", "1.1"):
        raise BadHeadError("unsupported_version", f"HTTP/{version} is not supported; use HTTP/1.1", 505)
    if method == b"CONNECT":
        raise BadHeadError("method_refused", "CONNECT is refused: this is not a tunnel", 405)
    if len(target) > max_target:
        raise BadHeadError("url_too_long", f"the URL has {len(target):,} bytes, of at most {max_target:,}", 414)
    if not _TARGET.fullmatch(target):
        raise BadHeadError("bad_target", "the request target must be a path that starts with /")
    framing = _framing(headers)
    if b"host" not in framing and version == "1.1":
        raise BadHeadError("bad_host", "a request must have a Host header")
    length = _body_length(framing, version)
    return RequestHead(method, target, headers, version, keep_alive, length, b"expect" in framing and version == "1.1")


class HeadReader:
    """Checks the heads of one connection. One that equals the last but for the length of its body is not checked again."""

    def __init__(self, max_target: int) -> None:
        self._max_target = max_target
        self._last: RequestHead | None = None
        self._others: Headers = []

    def read(self, method: bytes, target: bytes, headers: Headers, version: str, *, keep_alive: bool) -> RequestHead:
        """Return the head of a request. Raises BadHeadError."""
        last = self._last
        others = [pair for pair in headers if pair[0] != b"content-length"]
        if (
            last is not None
            and others == self._others
            and len(others) == len(headers) - 1
            and (target, method, version, keep_alive) == (last.target, last.method, last.version, last.keep_alive)
        ):
            length = next(value for name, value in headers if name == b"content-length")
            if _LENGTH.fullmatch(length):
                return RequestHead(
                    method, target, headers, version, keep_alive, int(length), last.expects_continue, last.derived
                )
        head = checked_head(method, target, headers, version, keep_alive=keep_alive, max_target=self._max_target)
        # Of a chunked body no length may be stated, so such a head says nothing about one with a length.
        self._last, self._others = (None if head.length is None else head), others
        return head


@lru_cache(maxsize=1024)
def _is_name(name: bytes) -> bool:
    return _NAME.fullmatch(name) is not None


def _framing(headers: Headers) -> dict[bytes, bytes]:
    """Check the headers; return those that decide how the request is read."""
    framing: dict[bytes, bytes] = {}
    for name, value in headers:
        if not _is_name(name):
            raise BadHeadError("bad_header", f"{name[:40]!r} is not a valid header name")
        if _UNCLEAN.search(value):
            raise BadHeadError("bad_header", f"the header {name[:40].decode('ascii')!r} contains a control character")
        if name in _DECISIVE:
            if name in framing:
                raise BadHeadError("ambiguous_head", f"a request must have one {name.decode()!r} header")
            framing[name] = value.strip()
    if b"upgrade" in framing:
        raise BadHeadError("upgrade_refused", "an upgrade of the connection (WebSocket, HTTP/2) is refused", 501)
    if framing.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise BadHeadError("unsupported_expectation", "the only supported Expect is 100-continue", 417)
    return framing


def _body_length(framing: dict[bytes, bytes], version: str) -> int | None:
    encoding, length = framing.get(b"transfer-encoding"), framing.get(b"content-length")
    if encoding is not None:
        if length is not None or version == "1.0":
            raise BadHeadError("ambiguous_head", "a request must state the length of its body once, and chunks need HTTP/1.1")
        if encoding.lower() != b"chunked":
            raise BadHeadError("unsupported_encoding", "the only supported Transfer-Encoding is chunked", 501)
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise BadHeadError("bad_length", "Content-Length must be one number")
    return int(length)


def upstream_head(
    head: RequestHead, authority: bytes, length: int | None, *, plain_answer: bool, added: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """Return the bytes of the head as it is passed on. ``plain_answer``: the answer must not be compressed."""
    derived, terms = head.derived, (authority, plain_answer, added)
    start = derived.upstream_start
    if derived.upstream_terms != terms:
        dropped = _dropped(head.headers) | _REPLACED | {name for name, _ in added}
        if plain_answer:
            dropped |= {b"accept-encoding"}
        lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (head.method, head.target, authority)]
        lines += [
            b"%b: %b" % (name, value) for name, value in head.headers if name not in dropped and not name.startswith(OWN_PREFIX)
        ]
        lines += [b"%b: %b" % pair for pair in added]
        if plain_answer:
            lines.append(b"accept-encoding: identity")
        start = derived.upstream_start = b"\r\n".join(lines)
        derived.upstream_terms = terms
    if length is None:
        return start + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    if length or head.method not in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
        return b"%b\r\ncontent-length: %d\r\n\r\n" % (start, length)
    return start + b"\r\n\r\n"


class AnswerHead(Struct):
    """The head of an answer, and how its body is framed. ``length`` None: not stated."""

    status: int
    reason: bytes
    headers: Headers
    is_chunked: bool
    length: int | None

    def value(self, name: bytes) -> bytes:
        """Return the first value of a header; empty if there is none."""
        for each, value in self.headers:
            if each == name:
                return value
        return b""


def answer_head(status: int, reason: bytes, headers: Headers) -> AnswerHead:
    """Return the head of an answer."""
    is_chunked, length = False, None
    for name, value in headers:
        if name == b"transfer-encoding":
            is_chunked = True
        elif name == b"content-length" and _LENGTH.fullmatch(value):
            length = int(value)
    return AnswerHead(status, reason, headers, is_chunked, None if is_chunked else length)


def client_head(answer: AnswerHead, *, length: int | None, chunked: bool, keep_alive: bool, version: str) -> bytes:
    """Return the bytes of an answer's head for the client."""
    dropped = _dropped(answer.headers)
    reason = answer.reason or _phrase(answer.status)
    lines = [b"HTTP/1.1 %d %b" % (answer.status, reason)]
    lines += [name + b": " + value for name, value in answer.headers if name not in dropped and name != b"content-length"]
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    elif length is not None:
        lines.append(b"content-length: %d" % length)
    if not keep_alive:
        lines.append(b"connection: close")
    elif version == "1.0":
        lines.append(b"connection: keep-alive")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def _dropped(headers: Headers) -> frozenset[bytes]:
    """Return the names of what belongs to one connection: the usual fields, and those that ``Connection`` names."""
    named = [value for name, value in headers if name == b"connection"]
    if not named or named in ([b"keep-alive"], [b"close"]):
        return _OF_ONE_CONNECTION
    return _OF_ONE_CONNECTION | {each.strip().lower() for value in named for each in value.split(b",")}


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"

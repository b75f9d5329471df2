"""How an answer is framed for the client: by its length, in chunks, or by closing the connection."""

from msgspec import Struct

from metering.sidecar.heads import AnswerHead, Headers, RequestHead, client_head

_WITHOUT_BODY = (204, 304)


class AnswerFraming(Struct, frozen=True):
    """The framing of one answer. ``length`` is stated in its head; None: it is not."""

    version: str
    length: int | None = None
    is_chunked: bool = False
    ends_with_close: bool = False

    def head(self, answer: AnswerHead, *, keep_alive: bool) -> bytes:
        """Return the bytes of the head."""
        keep = keep_alive and not self.ends_with_close
        return client_head(answer, length=self.length, chunked=self.is_chunked, keep_alive=keep, version=self.version)

    def piece(self, piece: bytes) -> bytes:
        """Return the bytes of a piece of the body."""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece

    def end(self, trailers: Headers) -> bytes:
        """Return the bytes after the last piece."""
        if not self.is_chunked:
            return b""
        return b"0\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in trailers) + b"\r\n"


def answer_framing(answer: AnswerHead, request: RequestHead, *, is_edited: bool) -> AnswerFraming:
    """Return how to frame an answer. ``is_edited``: parts of it are left out, so its stated length does not hold."""
    if request.method == b"HEAD" or answer.status in _WITHOUT_BODY:
        return AnswerFraming(request.version, None if answer.status == 204 else answer.length)
    if answer.length is not None and not is_edited:
        return AnswerFraming(request.version, answer.length)
    is_chunked = request.version == "1.1"
    return AnswerFraming(request.version, is_chunked=is_chunked, ends_with_close=not is_chunked)

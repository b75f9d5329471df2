"""The result of a fetch: a document, "not modified", or an error with a stable code.

Separate from the HTTP client, so that code that only handles results does not import one.
"""

from collections.abc import Callable

from msgspec import Struct

from metering.domain.errors import DomainError


class FetchedDocument(Struct, frozen=True):
    """A JSON document, decompressed but not parsed, and the ETag to send next time (empty if the source sent none)."""

    body: bytes
    etag: str = ""


class NotModified(Struct, frozen=True):
    """The source still has the version that the ETag identifies."""

    etag: str


FetchResult = FetchedDocument | NotModified

Fetch = Callable[[str, str], FetchResult]
"""(URL, ETag or empty) -> result. Raises FetchError."""


class FetchError(DomainError):
    """The source did not deliver its document. The message names the URL and never quotes the response."""

    code = "source_failed"


class UnreachableError(FetchError):
    """No connection, or the connection closed before the response was complete."""

    code = "source_unreachable"


class TooSlowError(FetchError):
    """The response was not complete in time."""

    code = "source_too_slow"


class RedirectedError(FetchError):
    """The source redirects; redirects are not followed."""

    code = "source_redirects"


class RefusedError(FetchError):
    """A status that is neither a success nor a redirect."""

    code = "source_refuses"


class TooLargeError(FetchError):
    """The document exceeds the size limit, counted after decompression."""

    code = "source_too_large"


class NotJsonError(FetchError):
    """The response is not declared as JSON, or uses an unsupported encoding."""

    code = "source_not_json"


def offline(url: str, etag: str) -> FetchResult:  # noqa: ARG001 - a Fetch
    """Fetch for a process without an HTTP client: always fails."""
    raise UnreachableError(f"{url}: this process makes no outgoing requests")

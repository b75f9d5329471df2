"""What asking a source comes to: its document, that nothing changed, or an error with a stable code.

Kept apart from the client, so that whoever only handles answers does not load one.
"""

from collections.abc import Callable

from msgspec import Struct

from metering.domain.errors import DomainError


class FetchedDocument(Struct, frozen=True):
    """A JSON document, unpacked but not parsed, and the validator to send next time (empty: the source gave none)."""

    body: bytes
    etag: str = ""


class NotModified(Struct, frozen=True):
    """The source says that what the validator stands for is still what it has."""

    etag: str


FetchResult = FetchedDocument | NotModified

Fetch = Callable[[str, str], FetchResult]
"""(address, validator or empty) -> answer. Raises FetchError."""


class FetchError(DomainError):
    """A source that did not give its document. The message names the address and never repeats what was answered."""

    code = "source_failed"


class UnreachableError(FetchError):
    """No connection, or one that broke off before the answer was whole."""

    code = "source_unreachable"


class TooSlowError(FetchError):
    """The answer was not whole in time."""

    code = "source_too_slow"


class RedirectedError(FetchError):
    """The source sends elsewhere, which is not followed."""

    code = "source_redirects"


class RefusedError(FetchError):
    """A status that is neither an answer nor a redirect."""

    code = "source_refuses"


class TooLargeError(FetchError):
    """More bytes than a document of this kind can have, counted after unpacking."""

    code = "source_too_large"


class NotJsonError(FetchError):
    """An answer that is declared as something else than JSON, or packed in a way that is not read."""

    code = "source_not_json"


def offline(address: str, etag: str) -> FetchResult:  # noqa: ARG001 - a Fetch
    """FetchResult for a process that was composed without a client: nothing can be reached."""
    raise UnreachableError(f"{address}: this process asks nobody")

"""Guarded GET of a JSON document.

Whatever the server does, a fetch ends within its total time, keeps at most one document of the largest size in memory, and
makes a limited number of attempts. A redirect is an error that names its target, never a second request.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import SystemRandom

import httpx
from msgspec import Struct

from metering import __version__
from metering.outbound.deadline import Deadline
from metering.outbound.fetch_results import (
    Fetch,
    FetchError,
    FetchResult,
    NotModified,
    RedirectedError,
    RefusedError,
    TooSlowError,
    UnreachableError,
)
from metering.outbound.read_response import read_document, retry_after, validator

_LONGEST_SHOWN = 200
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500


class FetchLimits(Struct, frozen=True):
    """Limits of a fetch, in seconds; ``max_bytes`` applies to the decompressed document.

    ``longest_wait`` limits each pause between attempts: if the source asks for a longer one, the fetch fails.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    total_seconds: float = 30.0
    max_bytes: int = 16 * 1024 * 1024
    attempts: int = 3
    first_wait: float = 0.5
    longest_wait: float = 10.0


class Clock(Struct, frozen=True):
    """Time and chance: ``sleep`` waits for seconds, ``monotonic`` returns seconds, ``chance`` a number from 0 to 1."""

    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    chance: Callable[[], float] = SystemRandom().random


class _TransientError(Exception):
    """A failure worth retrying; ``wait`` is the pause in seconds that the source asked for (Retry-After)."""

    def __init__(self, error: FetchError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


def open_client(limits: FetchLimits, token: str = "") -> httpx.Client:
    """Return a client for ``fetch``; the caller closes it.

    It verifies certificates, follows no redirects, and opens a new connection for each attempt: the server may have closed an
    idle one. It uses a proxy that the environment names. ``token`` is sent as a bearer token, only to the requested URL.
    """
    secret = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(
        follow_redirects=False,
        timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=0),
        # Only gzip: read_response decompresses it under the size limit.
        headers={
            "user-agent": f"hf-metering/{__version__}",
            "accept": "application/json",
            "accept-encoding": "gzip",
            **secret,
        },
    )


@contextmanager
def open_fetch(limits: FetchLimits, clock: Clock, token: str = "") -> Iterator[Fetch]:
    """Provide ``fetch`` with a dedicated client, which is open for the duration of the block."""
    with open_client(limits, token) as client:
        yield partial(fetch, client, limits=limits, clock=clock)


def fetch(client: httpx.Client, url: str, etag: str, *, limits: FetchLimits, clock: Clock) -> FetchResult:
    """Return the JSON document at ``url``, or NotModified if ``etag`` (empty: none) is still current.

    Raises a FetchError: UnreachableError, TooSlowError, RedirectedError, RefusedError, TooLargeError or NotJsonError.
    Connection failures, 5xx and 429 are retried.
    """
    end = clock.monotonic() + limits.total_seconds
    attempt = 1
    while True:
        left = end - clock.monotonic()
        if left <= 0:
            raise _too_slow(url, limits)
        try:
            return _attempt(client, url, etag, limits=limits, left=left)
        except _TransientError as failure:
            wait = _wait(failure, attempt, limits, clock)
            if attempt >= limits.attempts or wait > limits.longest_wait or clock.monotonic() + wait >= end:
                raise failure.error from failure
        clock.sleep(wait)
        attempt += 1


def _attempt(client: httpx.Client, url: str, etag: str, *, limits: FetchLimits, left: float) -> FetchResult:
    with Deadline(left) as deadline:
        try:
            with client.stream(
                "GET",
                url,
                headers={"if-none-match": etag} if etag else None,
                extensions={"trace": deadline.trace},
            ) as response:
                return _read(response, etag, limits)
        except (httpx.TransportError, ssl.SSLError, OSError) as error:
            if deadline.expired:
                raise _too_slow(url, limits) from error
            raise _TransientError(_connection_failure(url, error)) from error
        except httpx.InvalidURL as error:
            raise UnreachableError(f"{url[:_LONGEST_SHOWN]}: not a valid URL: {error}") from error


def _read(response: httpx.Response, etag: str, limits: FetchLimits) -> FetchResult:
    url, status = str(response.url), response.status_code
    if status == httpx.codes.OK:
        return read_document(response, limits.max_bytes)
    if status == httpx.codes.NOT_MODIFIED and etag:
        return NotModified(validator(response.headers) or etag)
    if response.has_redirect_location:
        raise RedirectedError(f"{url} returned {status} and redirects to {_target(response)}; redirects are not followed")
    error = RefusedError(f"{url} returned {status}")
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        raise _TransientError(error, retry_after(response.headers))
    raise error


def _wait(failure: _TransientError, attempt: int, limits: FetchLimits, clock: Clock) -> float:
    """Return the pause: doubled with each attempt, up to half longer or shorter, and at least what the source asked for."""
    doubled = limits.first_wait * 2.0 ** (attempt - 1) * (0.5 + clock.chance())
    return max(doubled, failure.wait or 0.0)


def _connection_failure(url: str, error: Exception) -> FetchError:
    if isinstance(error, httpx.ReadTimeout | httpx.ConnectTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return TooSlowError(f"{url} did not respond in time")
    problem = "no connection" if isinstance(error, httpx.ConnectError) else "the connection was interrupted"
    return UnreachableError(f"{url}: {problem}: {str(error)[:_LONGEST_SHOWN] or type(error).__name__}")


def _too_slow(url: str, limits: FetchLimits) -> FetchError:
    return TooSlowError(f"{url} did not respond within {limits.total_seconds:g} s")


def _target(response: httpx.Response) -> str:
    """Return the target of a redirect without the parts that could contain a secret: user, password, query, fragment."""
    location = response.headers.get("location", "")
    with suppress(httpx.InvalidURL, ValueError):
        target = response.url.join(location).copy_with(username=None, password=None, query=None, fragment=None)
        return str(target)[:_LONGEST_SHOWN]
    return "an invalid URL"

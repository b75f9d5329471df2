"""One guarded GET of a JSON document.

However the other side behaves, a fetch ends within its total time, holds no more than the largest document in memory, and
asks no more often than its attempts; a redirect is an error that names where to, never a second request.
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
    """How long, how much, how often. Seconds; ``max_bytes`` counts the document after unpacking.

    ``longest_wait`` bounds each pause between attempts: a source that asks for more patience is left alone until the next
    time somebody asks.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    total_seconds: float = 30.0
    max_bytes: int = 16 * 1024 * 1024
    attempts: int = 3
    first_wait: float = 0.5
    longest_wait: float = 10.0


class Clock(Struct, frozen=True):
    """How time passes: ``sleep`` pauses for seconds, ``clock`` gives monotonic seconds, ``chance`` a number from 0 to 1."""

    sleep: Callable[[float], None]
    clock: Callable[[], float]
    chance: Callable[[], float] = SystemRandom().random


class _TransientError(Exception):
    """A failure that another attempt may not meet; ``wait`` is how many seconds the source asked to be left alone."""

    def __init__(self, error: FetchError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


def open_client(limits: FetchLimits, token: str = "") -> httpx.Client:
    """Return a client for ``fetch``; whoever opens it closes it.

    Certificates are verified, redirects not followed, and each attempt has a connection of its own: a kept one may have
    been closed by the other side meanwhile. A proxy that the environment names is used. ``token`` is sent as a bearer token,
    to the address that is asked for and nowhere else.
    """
    secret = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(
        follow_redirects=False,
        timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=0),
        # Only what is unpacked here under the size limit.
        headers={
            "user-agent": f"hf-metering/{__version__}",
            "accept": "application/json",
            "accept-encoding": "gzip",
            **secret,
        },
    )


@contextmanager
def open_fetch(limits: FetchLimits, pace: Clock, token: str = "") -> Iterator[Fetch]:
    """Give ``fetch`` with a client of its own, open as long as the block."""
    with open_client(limits, token) as client:
        yield partial(fetch, client, limits=limits, pace=pace)


def fetch(client: httpx.Client, address: str, etag: str, *, limits: FetchLimits, pace: Clock) -> FetchResult:
    """Return the JSON document at ``address``, or NotModified where ``etag`` (empty: none) is still valid.

    Raises FetchError by what went wrong: UnreachableError, TooSlowError, RedirectedError, RefusedError, TooLargeError,
    NotJsonError. Connection failures, 5xx and 429 are tried again.
    """
    end = pace.clock() + limits.total_seconds
    attempt = 1
    while True:
        left = end - pace.clock()
        if left <= 0:
            raise _too_slow(address, limits)
        try:
            return _attempt(client, address, etag, limits=limits, left=left)
        except _TransientError as passing:
            wait = _wait(passing, attempt, limits, pace)
            if attempt >= limits.attempts or wait > limits.longest_wait or pace.clock() + wait >= end:
                raise passing.error from passing
        pace.sleep(wait)
        attempt += 1


def _attempt(client: httpx.Client, address: str, etag: str, *, limits: FetchLimits, left: float) -> FetchResult:
    with Deadline(left) as watch:
        try:
            with client.stream(
                "GET",
                address,
                headers={"if-none-match": etag} if etag else None,
                extensions={"trace": watch.trace},
            ) as response:
                return _read(response, etag, limits)
        except (httpx.TransportError, ssl.SSLError, OSError) as error:
            if watch.over:
                raise _too_slow(address, limits) from error
            raise _TransientError(_unanswered(address, error)) from error
        except httpx.InvalidURL as error:
            raise UnreachableError(f"{address[:_LONGEST_SHOWN]}: not an address: {error}") from error


def _read(response: httpx.Response, etag: str, limits: FetchLimits) -> FetchResult:
    address, status = str(response.url), response.status_code
    if status == httpx.codes.OK:
        return read_document(response, limits.max_bytes)
    if status == httpx.codes.NOT_MODIFIED and etag:
        return NotModified(validator(response.headers) or etag)
    if response.has_redirect_location:
        raise RedirectedError(f"{address} answers {status} and sends to {_target(response)}; redirects are not followed")
    error = RefusedError(f"{address} answers {status}")
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
        raise _TransientError(error, retry_after(response.headers))
    raise error


def _wait(passing: _TransientError, attempt: int, limits: FetchLimits, pace: Clock) -> float:
    """Return how long to pause: what the source asked for, at least; else doubled each time, a half more or less."""
    own = limits.first_wait * 2.0 ** (attempt - 1) * (0.5 + pace.chance())
    return max(own, passing.wait or 0.0)


def _unanswered(address: str, error: Exception) -> FetchError:
    if isinstance(error, httpx.ReadTimeout | httpx.ConnectTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return TooSlowError(f"{address} does not answer in time")
    what = "no connection" if isinstance(error, httpx.ConnectError) else "the connection broke off"
    return UnreachableError(f"{address}: {what}: {str(error)[:_LONGEST_SHOWN] or type(error).__name__}")


def _too_slow(address: str, limits: FetchLimits) -> FetchError:
    return TooSlowError(f"{address} has not answered within {limits.total_seconds:g} s")


def _target(response: httpx.Response) -> str:
    """Return where a redirect leads, without what could hold a secret: user, password, query."""
    location = response.headers.get("location", "")
    with suppress(httpx.InvalidURL, ValueError):
        url = response.url.join(location).copy_with(username=None, password=None, query=None, fragment=None)
        return str(url)[:_LONGEST_SHOWN]
    return "an address that can not be read"

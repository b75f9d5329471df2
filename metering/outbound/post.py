"""Guarded POST: to a checked address, within a total time, reading no more of the response than is kept.

The host is resolved once and the connection goes to the address that was checked, with the host's certificate and ``Host``
header, so a DNS answer that changes in between (rebinding) has no effect. Each attempt opens a new connection: a kept one
belongs to an IP address, which two hosts can share. Proxies of the environment are not used, because the addresses that a
proxy resolves cannot be checked here.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic

import httpx
from msgspec import Struct

from metering import __version__
from metering.outbound.addresses import AddressError, AddressGuard, port_of
from metering.outbound.read_response import retry_after

_LONGEST_SHOWN = 200
_MOST_ADDRESSES = 4


class PostLimits(Struct, frozen=True):
    """Seconds for connecting to one address and for the whole request; ``answer_bytes`` of the response are read."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0
    answer_bytes: int = 1_024


class PostResult(Struct, frozen=True):
    """The result of a POST. ``status`` is None if there was no response; then ``error`` is a stable code, ``message`` its text.

    ``answer`` is the start of the response; ``retry_after`` is in seconds.
    """

    latency_ms: int
    status: int | None = None
    error: str = ""
    message: str = ""
    answer: str = ""
    retry_after: float | None = None


class _UnresolvedNameError(Exception):
    """The host does not resolve."""


@asynccontextmanager
async def open_poster(verify: ssl.SSLContext | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a client for ``post``, open for the duration of the block.

    Certificates are verified with ``verify``. Default: the system's authorities, or those that SSL_CERT_FILE names.
    """
    async with httpx.AsyncClient(
        verify=httpx.create_ssl_context() if verify is None else verify,
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        headers={
            "user-agent": f"hf-metering/{__version__}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
        },
    ) as client:
        yield client


async def post(
    client: httpx.AsyncClient,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: AddressGuard,
    limits: PostLimits,
) -> PostResult:
    """Send a body and return the result. Raises nothing except on cancellation."""
    started = monotonic()
    try:
        async with asyncio.timeout(limits.total_seconds):
            parsed = guard.read(url)
            response = await _send(client, parsed, await _reachable(guard, parsed), body, headers, limits)
    except TimeoutError:
        code, message = "too_slow", f"no response within {limits.total_seconds:g} s"
    except AddressError as error:
        code, message = error.code, str(error)
    except _UnresolvedNameError as error:
        code, message = "unresolved", str(error)
    except httpx.ConnectError as error:
        code, message = "no_connection", f"no connection: {_error_text(error)}"
    except httpx.TimeoutException:
        code, message = "too_slow", "no response in time"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        code, message = "broken_off", f"the connection was interrupted: {_error_text(error)}"
    else:
        return PostResult(_milliseconds_since(started), response.status, answer=response.text, retry_after=response.retry_after)
    return PostResult(_milliseconds_since(started), error=code, message=message)


class _HttpResponse(Struct, frozen=True):
    status: int
    text: str
    retry_after: float | None


async def _send(
    client: httpx.AsyncClient,
    url: httpx.URL,
    addresses: list[str],
    body: bytes,
    headers: Mapping[str, str],
    limits: PostLimits,
) -> _HttpResponse:
    for at, address in enumerate(addresses[:_MOST_ADDRESSES], 1):
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii")},
            timeout=httpx.Timeout(limits.total_seconds, connect=limits.connect_seconds),
            # The host name for TLS: which certificate the server presents, and which name it is checked against.
            extensions={"sni_hostname": url.raw_host.decode("ascii")} if url.host != address else {},
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if at == len(addresses[:_MOST_ADDRESSES]):
                raise
            continue
        try:
            return _HttpResponse(response.status_code, await _start_of(response, limits), retry_after(response.headers))
        finally:
            await response.aclose()
    raise _UnresolvedNameError(f"{url.host[:_LONGEST_SHOWN]} has no IP address")


async def _start_of(response: httpx.Response, limits: PostLimits) -> str:
    """Return the start of a response as printable text. An interruption is ignored: the status has already arrived."""
    read = b""
    with suppress(httpx.HTTPError):
        async for part in response.aiter_raw():
            read += part
            if len(read) >= limits.answer_bytes:
                break
    return _printable(read[: limits.answer_bytes].decode("utf-8", errors="replace"))


async def _reachable(guard: AddressGuard, url: httpx.URL) -> list[str]:
    """Resolve the host in a dedicated thread, so that a name service that hangs delays no other delivery."""
    loop = asyncio.get_running_loop()
    resolved: asyncio.Future[list[str]] = loop.create_future()

    def set_result(addresses: list[str] | None, error: Exception | None) -> None:
        if resolved.done():
            return
        if error is not None:
            resolved.set_exception(error)
        else:
            resolved.set_result(addresses or [])

    def resolve() -> None:
        addresses: list[str] | None = None
        failure: Exception | None = None
        try:
            addresses = guard.reachable(url)
        except AddressError as error:
            failure = error
        except (OSError, UnicodeError, ValueError) as error:
            failure = _UnresolvedNameError(f"cannot resolve {url.host[:_LONGEST_SHOWN]}:{port_of(url)}: {_error_text(error)}")
        with suppress(RuntimeError):  # the event loop has closed: the result is no longer needed
            loop.call_soon_threadsafe(set_result, addresses, failure)

    threading.Thread(target=resolve, name="name-service", daemon=True).start()
    return await resolved


def _error_text(error: Exception) -> str:
    return _printable(str(error)[:_LONGEST_SHOWN]) or type(error).__name__


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _milliseconds_since(started: float) -> int:
    return round((monotonic() - started) * 1_000)

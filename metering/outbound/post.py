"""One guarded POST: to an address that was checked, within a total time, with no more read of the answer than is kept.

The name is looked up once; the connection goes to the address that was checked, under the name's certificate and ``Host``, so
that a name that changes its mind in between leads nowhere. Each attempt has a connection of its own: one that was kept would
belong to an address, and two names can share one. No proxy that the environment names is used: what a proxy resolves can not be
checked here.
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
    """Seconds, for connecting to one address and for everything together; and how many bytes of an answer are read."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0
    answer_bytes: int = 1_024


class PostResult(Struct, frozen=True):
    """What came of a POST. ``status`` None: there was no answer; ``error`` is a stable code then, ``message`` the words.

    ``retry_after`` is how many seconds the other side asks to be left alone.
    """

    latency_ms: int
    status: int | None = None
    error: str = ""
    message: str = ""
    answer: str = ""
    retry_after: float | None = None


class _UnresolvedNameError(Exception):
    """The name resolves to nothing."""


@asynccontextmanager
async def open_poster(verify: ssl.SSLContext | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client for ``post``, open as long as the block.

    Certificates are verified by ``verify``, else by the system's authorities or those that SSL_CERT_FILE names.
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
    address: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    guard: AddressGuard,
    limits: PostLimits,
) -> PostResult:
    """Send a body; return what came of it. Raises nothing but what cancels it."""
    began = monotonic()
    try:
        async with asyncio.timeout(limits.total_seconds):
            url = guard.read(address)
            answer = await _send(client, url, await _reachable(guard, url), body, headers, limits)
    except TimeoutError:
        failed = "too_slow", f"no answer within {limits.total_seconds:g} s"
    except AddressError as error:
        failed = error.code, str(error)
    except _UnresolvedNameError as error:
        failed = "unresolved", str(error)
    except httpx.ConnectError as error:
        failed = "no_connection", f"no connection: {_told(error)}"
    except httpx.TimeoutException:
        failed = "too_slow", "no answer in time"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        failed = "broken_off", f"the connection broke off: {_told(error)}"
    else:
        return PostResult(_since(began), answer.status, answer=answer.text, retry_after=answer.retry_after)
    return PostResult(_since(began), error=failed[0], message=failed[1])


class _HttpAnswer(Struct, frozen=True):
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
) -> _HttpAnswer:
    for at, address in enumerate(addresses[:_MOST_ADDRESSES], 1):
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii")},
            timeout=httpx.Timeout(limits.total_seconds, connect=limits.connect_seconds),
            # Whose certificate it has to be, and what the other side is asked for.
            extensions={"sni_hostname": url.raw_host.decode("ascii")} if url.host != address else {},
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if at == len(addresses[:_MOST_ADDRESSES]):
                raise
            continue
        try:
            return _HttpAnswer(response.status_code, await _begin(response, limits), retry_after(response.headers))
        finally:
            await response.aclose()
    raise _UnresolvedNameError(f"{url.host[:_LONGEST_SHOWN]} has no address")


async def _begin(response: httpx.Response, limits: PostLimits) -> str:
    """Return the begin of an answer as text that can be shown. That it breaks off changes nothing: the status is there."""
    read = b""
    with suppress(httpx.HTTPError):
        async for part in response.aiter_raw():
            read += part
            if len(read) >= limits.answer_bytes:
                break
    return _printable(read[: limits.answer_bytes].decode("utf-8", errors="replace"))


async def _reachable(guard: AddressGuard, url: httpx.URL) -> list[str]:
    """Look the name up beside the loop. A thread of its own: one that hangs in the name service delays nobody else."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(addresses: list[str] | None, error: Exception | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses or [])

    def look_up() -> None:
        addresses: list[str] | None = None
        failure: Exception | None = None
        try:
            addresses = guard.reachable(url)
        except AddressError as error:
            failure = error
        except (OSError, UnicodeError, ValueError) as error:
            failure = _UnresolvedNameError(f"{url.host[:_LONGEST_SHOWN]}:{port_of(url)} can not be looked up: {_told(error)}")
        with suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
            loop.call_soon_threadsafe(tell, addresses, failure)

    threading.Thread(target=look_up, name="name-service", daemon=True).start()
    return await found


def _told(error: Exception) -> str:
    return _printable(str(error)[:_LONGEST_SHOWN]) or type(error).__name__


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _since(began: float) -> int:
    return round((monotonic() - began) * 1_000)

"""A fetch ends within its limits, with a document or with an error that explains the failure."""

import gzip
import socket
import time
import zlib

import httpx
import pytest

from metering.outbound.fetch import Clock, FetchLimits, fetch, open_client
from metering.outbound.fetch_results import (
    FetchedDocument,
    NotJsonError,
    NotModified,
    RedirectedError,
    RefusedError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from support.loopback_source import RESET, answer, packed, source
from support.presence import instance, present

DOCUMENT = b'{"data": []}'
LIMITS = FetchLimits(connect_seconds=2, read_seconds=2, total_seconds=8, max_bytes=10_000)


class Fetcher:
    """Fetches from one source; ``slept`` lists its pauses."""

    def __init__(self, url, chance=0.5):
        self.url = url
        self.slept: list[float] = []
        self.clock = Clock(self.slept.append, time.monotonic, lambda: chance)

    def __call__(self, etag="", limits=LIMITS):
        with open_client(limits) as client:
            return fetch(client, self.url, etag, limits=limits, clock=self.clock)


@pytest.fixture
def served():
    """A function that serves scripts until the test ends."""
    open_sources = []

    def serve(*scripts):
        context = source(*scripts)
        serving = context.__enter__()
        open_sources.append(context)
        return serving, Fetcher(serving.url)

    yield serve
    for context in open_sources:
        context.__exit__(None, None, None)


def test_a_document_comes_with_its_etag(served):
    _, ask = served(answer(DOCUMENT, etag='"v1"'))
    assert ask() == FetchedDocument(DOCUMENT, '"v1"')


def test_a_current_etag_gives_not_modified(served):
    serving, ask = served(answer(status="304 Not Modified", content_type=""))
    assert ask('"v1"') == NotModified('"v1"')
    assert serving.requests[0]["if-none-match"] == '"v1"'


@pytest.mark.parametrize("etag", ['"\xe9"', '"' + "x" * 500 + '"'])
def test_an_etag_that_could_not_be_sent_back_is_ignored(served, etag):
    raw = answer(DOCUMENT, etag="PLACE")[0].replace(b"PLACE", etag.encode("latin-1"))
    _, ask = served([raw])
    assert ask() == FetchedDocument(DOCUMENT, "")


def test_without_an_etag_none_is_sent_and_304_is_an_error(served):
    serving, ask = served(answer(status="304 Not Modified"))
    with pytest.raises(RefusedError, match="304"):
        ask()
    assert "if-none-match" not in serving.requests[0]


def test_a_gzip_document_is_decompressed(served):
    _, ask = served(packed(DOCUMENT))
    assert ask().body == DOCUMENT


def test_no_secret_is_sent_and_only_json_and_gzip_are_requested(served):
    serving, ask = served(answer(DOCUMENT))
    ask()
    (headers,) = serving.requests
    assert headers.keys() == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert (headers["accept"], headers["accept-encoding"]) == ("application/json", "gzip")


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (answer(b"<html>", content_type="text/html; charset=utf-8"), NotJsonError, "HTML instead of JSON"),
        (answer(DOCUMENT, content_type=""), NotJsonError, "an undeclared type instead of JSON"),
        (answer(DOCUMENT, content_type="text/plain"), NotJsonError, "text/plain instead of JSON"),
        (answer(DOCUMENT, content_encoding="br"), NotJsonError, "'br'"),
        (answer(DOCUMENT, content_encoding="gzip"), NotJsonError, "declared its response as gzip, but it is not"),
        (answer(gzip.compress(DOCUMENT) + b"more", content_encoding="gzip"), NotJsonError, "after the end of the gzip stream"),
        (answer(gzip.compress(DOCUMENT)[:-9], content_encoding="gzip"), UnreachableError, "truncated"),
        (answer(status="404 Not Found"), RefusedError, "returned 404"),
        (answer(status="302 Found"), RefusedError, "returned 302"),
        (answer(b" " * 10_001), TooLargeError, "more than 10000 bytes"),
        (answer(b" " * 10_001, content_length=""), TooLargeError, "more than 10000 bytes"),
        (packed(b" " * 10_001), TooLargeError, "more than 10000 bytes"),
    ],
)
def test_an_invalid_response_is_an_error_without_a_retry(served, script, error, message):
    serving, ask = served(script)
    with pytest.raises(error, match=message) as raised:
        ask()
    assert raised.value.code.startswith("source_")
    assert (len(serving.requests), ask.slept) == (1, [])


def test_a_document_that_declares_too_large_a_size_is_refused_at_once(served):
    _, ask = served([answer(content_length="10001")[0], 5.0])
    began = time.monotonic()
    with pytest.raises(TooLargeError):
        ask()
    assert time.monotonic() - began < 1.5


def test_a_document_of_exactly_the_size_limit_is_read(served):
    _, ask = served(answer(b" " * 10_000), packed(b" " * 10_000))
    assert len(ask().body) == len(ask().body) == 10_000


def test_a_decompression_bomb_expands_no_further_than_the_limit(served, monkeypatch):
    unpacked = []
    original = zlib.decompressobj

    class Counting:
        unused_data = b""

        def __init__(self, wbits):
            self.real = original(wbits=wbits)

        def decompress(self, data, limit=0):
            unpacked.append(len(part := self.real.decompress(data, limit)))
            return part

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    _, ask = served(packed(b" " * 5_000_000))
    with pytest.raises(TooLargeError):
        ask()
    assert sum(unpacked) == 10_001


def test_a_redirect_is_not_followed_and_its_target_is_named(served):
    elsewhere, _ = served(answer(DOCUMENT))
    serving, ask = served(answer(status="302 Found", location="https://user:pass@elsewhere.example/models?token=secret"))
    with pytest.raises(RedirectedError, match=r"redirects to https://elsewhere\.example/models; redirects are not") as raised:
        ask()
    assert "secret" not in str(raised.value)
    assert "pass" not in str(raised.value)
    serving.respond(answer(status="301 Moved Permanently", location=elsewhere.url))
    with pytest.raises(RedirectedError):
        ask()
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "failure",
    [
        answer(status="500 Internal Server Error"),
        answer(status="503 Service Unavailable"),
        [RESET],
        [answer(DOCUMENT)[0][:-3], RESET],
        [answer(DOCUMENT)[0][:-3]],
        [b"this is no HTTP\r\n\r\n"],
    ],
    ids=["500", "503", "reset", "reset in the body", "body cut off", "no HTTP"],
)
def test_a_transient_failure_is_retried(served, failure):
    serving, ask = served(failure, failure, answer(DOCUMENT))
    assert ask() == FetchedDocument(DOCUMENT)
    assert len(serving.requests) == 3
    assert ask.slept == [0.5, 1.0]


def test_each_request_opens_a_new_connection(served):
    """A kept connection may be dead, and the deadline would not know its socket."""
    _, ask = served([*answer(DOCUMENT, connection="keep-alive"), 5.0], answer(DOCUMENT))
    with open_client(LIMITS) as client:
        bodies = [instance(FetchedDocument, fetch(client, ask.url, "", limits=LIMITS, clock=ask.clock)).body for _ in range(2)]
    assert (bodies, ask.slept) == ([DOCUMENT, DOCUMENT], [])


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        (answer(status="500 Internal Server Error"), RefusedError, "returned 500"),
        ([answer(DOCUMENT)[0][:-3], RESET], UnreachableError, "interrupted"),
    ],
)
def test_attempts_are_limited_and_the_last_failure_is_raised(served, failure, error, message):
    serving, ask = served(failure)
    with pytest.raises(error, match=message):
        ask()
    assert len(serving.requests) == 3


def test_pauses_vary_so_that_many_clients_do_not_retry_at_once(served):
    serving, _ = served(answer(status="500 Internal Server Error"))
    for chance, pauses in ((0.0, [0.25, 0.5]), (1.0, [0.75, 1.5])):
        ask = Fetcher(serving.url, chance)
        with pytest.raises(RefusedError):
            ask()
        assert ask.slept == pauses


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "0"}, 0.5),
        ({"retry_after": "Sun, 01 Nov 2026 10:00:04 GMT", "date": "Sun, 01 Nov 2026 10:00:00 GMT"}, 4.0),
        ({"retry_after": "soon"}, 0.5),
        ({}, 0.5),
    ],
)
def test_a_429_is_retried_after_the_pause_that_the_source_asks_for(served, headers, waited):
    _, ask = served(answer(status="429 Too Many Requests", **headers), answer(DOCUMENT))
    assert ask().body == DOCUMENT
    assert ask.slept == [waited]


@pytest.mark.parametrize("pause", ["11", "7", "99999999999999999999"])
def test_a_source_that_asks_for_too_long_a_pause_is_not_retried(served, pause):
    serving, ask = served(answer(status="429 Too Many Requests", retry_after=pause), answer(DOCUMENT))
    limits = FetchLimits(total_seconds=6.0 if pause == "7" else 60.0)
    with pytest.raises(RefusedError, match="429"):
        ask(limits=limits)
    assert (len(serving.requests), ask.slept) == (1, [])


DRIPPING_HEADERS = [b"HTTP/1.1 200 OK\r\n", *[0.05, b"x: y\r\n"] * 100]
DRIPPING_BODY = [answer(b" " * 100)[0][:-100], *[0.05, b" "] * 100]


@pytest.mark.parametrize(
    "script", [[5.0], DRIPPING_HEADERS, DRIPPING_BODY], ids=["silent", "dripping headers", "dripping body"]
)
def test_the_total_time_is_kept_wherever_the_source_is_slow(served, script):
    _, ask = served(script)
    began = time.monotonic()
    with pytest.raises(TooSlowError, match=r"within 0\.4 s"):
        ask(limits=FetchLimits(connect_seconds=2, read_seconds=2, total_seconds=0.4))
    assert time.monotonic() - began < 1.5


def test_a_read_timeout_is_retried_within_the_total_time(served):
    serving, ask = served([5.0], answer(DOCUMENT))
    assert ask(limits=FetchLimits(read_seconds=0.2)).body == DOCUMENT
    assert len(serving.requests) == 2


def test_a_refused_connection_is_unreachable_after_all_attempts():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ask = Fetcher(f"http://127.0.0.1:{port}/v1")
    with pytest.raises(UnreachableError, match="no connection"):
        ask()
    assert len(ask.slept) == 2


def test_certificates_are_verified_against_the_host():
    with open_client(LIMITS) as client:
        context = present(instance(httpx.HTTPTransport, client._transport)._pool._ssl_context)
    assert (context.check_hostname, context.verify_mode.name) == (True, "CERT_REQUIRED")

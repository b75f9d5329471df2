"""The limits of bodies, to the byte: announced, counted while they arrive, and decompressed."""

import asyncio
import gzip
import tracemalloc

import pytest
from fastapi import HTTPException
from starlette.requests import Request

from metering.web.bodies import read_body
from metering.web.body_limit import BodyLimit
from metering.web.problems import ApiProblem

LIMIT = 10


def request(body: list[bytes], *, path="/small", **headers):
    """Send the parts of a body through the middleware; return what the application read, and the answer's statuses."""
    parts, read, statuses = list(body), [], []

    async def receive():
        part = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def application(scope, receive, send):
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "method": "POST", "headers": named}
    asyncio.run(BodyLimit(application, default=LIMIT, paths={"/large": 100})(scope, receive, send))
    return b"".join(read), statuses


def test_a_body_that_announces_exactly_the_limit_is_read_and_one_byte_more_is_refused_unread():
    assert request([b"x" * LIMIT], content_length="10") == (b"x" * LIMIT, [])
    assert request([b"x" * 11], content_length="11") == (b"", [413])
    assert request([b"x"], content_length="1" + "0" * 30) == (b"", [413])


def test_a_body_without_a_length_is_read_up_to_exactly_the_limit():
    assert request([b"x" * 6, b"x" * 4]) == (b"x" * LIMIT, [])
    with pytest.raises(HTTPException) as refused:
        request([b"x" * 6, b"x" * 5])
    assert refused.value.status_code == 413


def test_a_path_can_have_a_limit_of_its_own():
    assert request([b"x" * 100], path="/large", content_length="100") == (b"x" * 100, [])
    assert request([b"x" * 101], path="/large", content_length="101") == (b"", [413])


def decompressed(content: bytes, limit: int) -> bytes:
    """Return a gzip body, read with a limit of its decompressed size."""

    async def receive():
        return {"type": "http.request", "body": gzip.compress(content), "more_body": False}

    scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")]}
    return asyncio.run(read_body(Request(scope, receive), limit))


def test_a_body_is_decompressed_up_to_exactly_the_limit():
    assert decompressed(b"x" * LIMIT, LIMIT) == b"x" * LIMIT
    with pytest.raises(ApiProblem) as refused:
        decompressed(b"x" * 11, LIMIT)
    assert refused.value.code == "body_too_large"


def test_a_bomb_expands_no_further_than_the_limit():
    bomb = gzip.compress(b" " * 50_000_000)

    async def receive():
        return {"type": "http.request", "body": bomb, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")]}
    tracemalloc.start()
    try:
        with pytest.raises(ApiProblem):
            asyncio.run(read_body(Request(scope, receive), 1_000_000))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000_000

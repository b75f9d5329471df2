"""Limit the size of request bodies. Bytes are counted as they arrive, because a chunked body does not announce its length."""

from collections.abc import Mapping

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.web.problems import ApiProblem, problem_response

# Up to this much of a refused body is read and dropped before the response: closing at once would reset the connection, and the
# client would never see the reason.
DRAINED_BYTES = 4 * 1024 * 1024


class BodyLimit:
    """ASGI middleware: refuses a body over ``default`` bytes, or over the limit of its path, with 413."""

    def __init__(self, app: ASGIApp, default: int, paths: Mapping[str, int]) -> None:
        self.app = app
        self._default = default
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._paths.get(scope["path"], self._default)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
            if Headers(scope=scope).get("expect", "").lower() != "100-continue":  # such a client has not sent the body yet
                await _drain(receive)
            problem = ApiProblem("body_too_large", _too_large(limit), headers={"connection": "close"})
            await problem_response(problem, scope["path"])(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > limit:
                    if message.get("more_body"):
                        await _drain(receive)
                    raise HTTPException(413, _too_large(limit), headers={"connection": "close"})
            return message

        await self.app(scope, receive_counted, send)


def _too_large(limit: int) -> str:
    return f"the body is over {limit:,} bytes; send it in several requests"


async def _drain(receive: Receive) -> None:
    drained = 0
    while drained < DRAINED_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return

"""What applies to every answer: the safety headers, the request ID, and that no exception gets out."""

import logging
import random
import re

from sqlalchemy.exc import StatementError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.operations.service.logs import request_id
from metering.web.problems import SAFETY_HEADERS, ApiProblem, problem_response

_SAFETY_PAIRS = tuple((name.encode(), value.encode()) for name, value in SAFETY_HEADERS.items())

# What a client may choose: safe in a header, in a log line and in a shell.
_REQUEST_ID = b"x-request-id"
_CLIENTS_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

# Seeded by the operating system. Asking it for each request would take a tenth of a small request.
_random = random.Random()  # noqa: S311 - the IDs are no secrets

_log = logging.getLogger(__name__)


class AnswerGuard:
    """ASGI middleware: adds the safety headers and the request ID; logs an unexpected exception and answers with a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        own_id = _request_id(scope)
        request_id.set(own_id.decode())  # each request runs in its own context
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                stated = {name.lower() for name, _ in message["headers"]}
                safety = (pair for pair in _SAFETY_PAIRS if pair[0] not in stated)
                message["headers"] = [*message["headers"], *safety, (_REQUEST_ID, own_id)]
            await send(message)

        try:
            await self.app(scope, receive, send_guarded)
        except Exception as error:
            if started:
                raise
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they come from outside
            _log.exception("unexpected error in %s %s", scope["method"], scope["path"][:200])
            problem = ApiProblem("internal_error", type(error).__name__)
            await problem_response(problem, scope["path"])(scope, receive, send_guarded)


def _request_id(scope: Scope) -> bytes:
    """Return the ID that the client chose, if it is safe, else a random one: a count would reveal how busy the server is."""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID:
            if _CLIENTS_ID.fullmatch(value):
                return bytes(value)
            break
    return b"%016x" % _random.getrandbits(64)

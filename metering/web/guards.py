"""What holds for every answer, whoever made it: the safety headers, and that no exception gets out."""

import logging

from sqlalchemy.exc import StatementError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.web.problems import SAFETY_HEADERS, ApiProblem, problem_response

_SAFETY_PAIRS = tuple((name.encode(), value.encode()) for name, value in SAFETY_HEADERS.items())

_log = logging.getLogger(__name__)


class AnswerGuard:
    """ASGI middleware: adds the safety headers; turns an exception nobody expected into a problem, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                stated = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _SAFETY_PAIRS if pair[0] not in stated)]
            await send(message)

        try:
            await self.app(scope, receive, send_guarded)
        except Exception as error:
            if started:
                raise
            if isinstance(error, StatementError):
                error.hide_parameters = True  # they are what somebody sent
            _log.exception("unexpected error in %s %s", scope["method"], scope["path"][:200])
            problem = ApiProblem("internal_error", type(error).__name__)
            await problem_response(problem, scope["path"])(scope, receive, send)

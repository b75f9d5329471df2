"""Counts requests by route, with their status and duration."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metering.runtime.metrics import NO_ROUTE, Metrics

ROUTE = "metering.route"


class RequestMetrics:
    """ASGI middleware: counts each request under the template of its route, never under its path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            self._metrics.request(_route_of(scope), scope["method"], status, time.perf_counter() - started)


def _route_of(scope: Scope) -> str:
    """Return the template of the route that answered; NO_ROUTE if there is none, or the request was refused before routing."""
    answered_early = scope.get(ROUTE)
    if answered_early is not None:
        return str(answered_early)
    return getattr(scope.get("route"), "path", NO_ROUTE)

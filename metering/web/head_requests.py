"""HEAD is answered like GET, without the body (RFC 9110, section 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware: passes a HEAD request on as a GET and sends only the headers of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # The method of the server's own scope stays HEAD: by it the server knows that no body follows the stated length.
        get_scope = {**scope, "method": "GET"}
        try:
            await self._app(get_scope, receive, send_head)
        finally:
            if "route" in get_scope:
                scope["route"] = get_scope["route"]

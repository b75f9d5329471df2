"""Answers that the sidecar gives itself: errors in the shape that the client's SDK reads."""

import json
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from metering.sidecar.wires import ErrorShape

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    402: "billing_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class Refusal(Struct, frozen=True):
    """An error: HTTP status, stable code, message for people, and further members of the error object."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = {}
    retry_after_seconds: int | None = None


def refusal_response(refusal: Refusal, shape: ErrorShape, *, keep_alive: bool) -> bytes:
    """Return the whole response: status line, headers and a JSON body."""
    body = json.dumps(_error(refusal, shape)).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"connection: {'keep-alive' if keep_alive else 'close'}",
        f"x-metering-error: {refusal.code}",
    ]
    if refusal.retry_after_seconds is not None:
        lines.append(f"retry-after: {refusal.retry_after_seconds}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _error(refusal: Refusal, shape: ErrorShape) -> dict[str, Any]:
    if shape is ErrorShape.ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message, "code": refusal.code, **refusal.details}}
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"
    if refusal.status == HTTPStatus.PAYMENT_REQUIRED:
        kind = "insufficient_quota"
    return {"error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.code, **refusal.details}}

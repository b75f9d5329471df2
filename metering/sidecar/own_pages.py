"""The sidecar's own pages, under a path that no upstream has: liveness and metrics."""

import json
from http import HTTPStatus

from metering.sidecar.heads import RequestHead
from metering.sidecar.passing import Passing
from metering.sidecar.refusals import Refusal, refusal_response
from metering.sidecar.wires import ErrorShape

OWN_PREFIX = b"/-/"


def own_page(head: RequestHead, passing: Passing) -> bytes:
    """Return the response of ``/-/healthz``, ``/-/readyz`` or ``/-/metrics``; 404 for other paths."""
    if head.method != b"GET":
        return refusal_response(Refusal(405, "method_refused", "use GET"), ErrorShape.OPENAI, keep_alive=head.keep_alive)
    if head.path == "/-/healthz":
        return _page(head, 200, b'{"status":"ok"}', "application/json")
    if head.path == "/-/readyz":
        journal = passing.meter.journal
        is_ready = not journal.is_full and not passing.is_stopping
        state = {
            "ready": is_ready,
            "journal_bytes": journal.size,
            "journal_error": journal.last_error or None,
            "dropped_events": journal.dropped,
        }
        return _page(head, 200 if is_ready else 503, json.dumps(state).encode(), "application/json")
    if head.path == "/-/metrics":
        return _page(head, 200, passing.meter.metrics.exposed(), "text/plain; version=0.0.4; charset=utf-8")
    refusal = Refusal(404, "not_found", "the sidecar has /-/healthz, /-/readyz and /-/metrics")
    return refusal_response(refusal, ErrorShape.OPENAI, keep_alive=head.keep_alive)


def _page(head: RequestHead, status: int, body: bytes, media: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: {media}",
        f"content-length: {len(body)}",
        f"connection: {'keep-alive' if head.keep_alive else 'close'}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body

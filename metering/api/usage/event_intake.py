"""Taking events: what was sent is read, waits for the commit that it shares with others, and is answered after it.

A request without a query, which nearly every client sends, is answered before FastAPI sees it: to find its route and to read
parameters that it does not have would cost as much as to store its event.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from metering.api.usage.event_bodies import LogFormat, ReadBody, SentBody, format_of, read_events, sent_body
from metering.domain.usage.batches import Batch, BatchBuilder
from metering.domain.usage.outcomes import BatchResult
from metering.formats.options import DecodeOptions
from metering.operations.service.open_service import Service
from metering.operations.usage.ingest import Origin
from metering.runtime.group_writer import GroupWriter, TooBusyError
from metering.runtime.loop_bridge import LoopBridge
from metering.web.api_key_cache import ApiKeyCache
from metering.web.bodies import JSON
from metering.web.principal import Principal
from metering.web.problem_handlers import problem_of
from metering.web.problems import ApiProblem, problem_response
from metering.web.request_metrics import ROUTE

PATH = "/v1/events"
# A larger body is decoded in a thread: other requests would wait for it.
DECODED_AT_ONCE_BYTES = 32 * 1024
RETRY_AFTER_SECONDS = 1

_COUNTS = (
    "accepted", "duplicate", "copy", "conflict", "rejected", "unpriced", "unassigned", "route_unknown", "series_capped",
)  # fmt: skip
_STATED_NOTHING = DecodeOptions(source="api", now=0)


class Intake:
    """Takes what was sent, for all requests of a process."""

    def __init__(self, service: Service, writer: GroupWriter) -> None:
        self._service = service
        self._writer = writer
        self._answers: LoopBridge[BatchResult] | None = None

    async def take(
        self, sent: SentBody, principal: Principal, stated: DecodeOptions = _STATED_NOTHING, log_format: LogFormat | None = None
    ) -> Response:
        """Store what was sent, and answer when it is stored. Raises ApiProblem, LogFormatError."""
        service = self._service
        chosen = format_of(sent.media, log_format)
        options = msgspec.structs.replace(stated, now=service.clock(), require_id=chosen == "native")
        if len(sent.data) <= DECODED_AT_ONCE_BYTES:
            read, batch = _read(sent, chosen, options, service)
        else:
            read, batch = await run_in_threadpool(_read, sent, chosen, options, service)
        try:
            result = await self._stored(batch, _origin(sent, chosen, options, principal))
        except TooBusyError as error:
            raise ApiProblem(error.code, str(error), headers={"retry-after": str(RETRY_AFTER_SECONDS)}) from None
        return _answer(result, read)

    def close(self) -> None:
        """Take no more, and store what waits."""
        self._writer.close()

    async def _stored(self, batch: Batch, origin: Origin) -> BatchResult:
        # A client that goes away takes its answer with it, not the batch: others may share its commit.
        loop = asyncio.get_running_loop()
        if self._answers is None or self._answers.loop is not loop:
            self._answers = LoopBridge(loop)
        awaited, answered = self._answers.expect()
        self._writer.submit(batch, origin, answered)
        return await awaited


class EventsFastPath:
    """ASGI middleware: answers ``POST /v1/events`` where it states nothing but a body; all else goes on."""

    def __init__(self, app: ASGIApp, service: Service, senders: ApiKeyCache, intake: Intake) -> None:
        self._app = app
        self._service = service
        self._senders = senders
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = PATH
        try:
            answer = await self._answer(Request(scope, receive))
        except Exception as error:
            problem = problem_of(error, "POST")
            if problem is None:
                raise
            answer = problem_response(problem, PATH)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        principal = await self._senders.sender(request, self._service)
        return await self._intake.take(await sent_body(request, self._service), principal)


async def current_intake(request: Request) -> Intake:
    """Return what takes events for all requests."""
    intake: Intake = request.app.state.intake
    return intake


IntakeNow = Annotated[Intake, Depends(current_intake)]


def _origin(sent: SentBody, chosen: LogFormat, options: DecodeOptions, principal: Principal) -> Origin:
    def raw_of(offset: int, length: int) -> bytes:
        return sent.data[offset : offset + length]

    how = {"format": chosen, "media": sent.media, "options": options}
    return Origin(
        source=options.source,
        options=msgspec.json.encode(how).decode(),
        create_accounts=principal.key.creates_accounts,
        raw_of=raw_of,
        bound_account_id=None if principal.account is None else principal.account.id,
        key_id=principal.key.id,
    )


def _read(sent: SentBody, chosen: LogFormat, options: DecodeOptions, service: Service) -> tuple[ReadBody, Batch]:
    read = read_events(sent, chosen, options)
    count, most = len(read.block.events) + len(read.block.rejected), service.settings.max_batch_events
    if count > most:
        raise ApiProblem("too_many_events", f"there are {count} records, at most {most} are taken at once; nothing was stored")
    return read, BatchBuilder(service.settings.ingest.declared_tags).batch_of(read.block)


def _answer(result: BatchResult, read: ReadBody) -> Response:
    answer = _as_answered(result, read)
    if result.received and result.rejected == result.received:
        reasons = ", ".join(sorted({item.code for item in result.items}))
        raise ApiProblem("all_rejected", f"none of {result.received} records could become an event: {reasons}", members=answer)
    return Response(msgspec.json.encode(answer), media_type=JSON)


def _as_answered(result: BatchResult, read: ReadBody) -> dict[str, Any]:
    """Return what ``IngestAnswer`` describes; a test holds the two together."""
    items = [
        {
            "index": item.line if read.by_index else None,
            "line": None if read.by_index else item.line,
            "outcome": item.outcome,
            "code": item.code,
            "reason": item.reason,
            "id": item.id,
            "field": item.field,
        }
        for item in sorted(result.items, key=lambda item: item.line)
    ]
    counts = {name: getattr(result, name) for name in _COUNTS}
    return {"received": result.received, **counts, "items": items, "unread_fields": result.unread_fields}

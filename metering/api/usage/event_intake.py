"""Ingesting events: a body is decoded, waits for the commit that it shares with other requests, and is answered after it.

Requests without a query, which nearly all clients send, are answered before FastAPI routes them: finding the route and reading
parameters that are not there would take as long as storing an event.
"""

import asyncio
from typing import Annotated

import msgspec
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from metering.answers.usage.ingest import ingest_answer
from metering.api.usage.event_bodies import EventBody, LogFormat, decode_body, event_body, format_of
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
# A larger body is decoded in a thread, because other requests would wait for it.
MAX_DECODED_IN_LOOP_BYTES = 32 * 1024
RETRY_AFTER_SECONDS = 1

_DEFAULT_OPTIONS = DecodeOptions(source="api", now=0)


class Intake:
    """Ingests events for all requests of a process."""

    def __init__(self, service: Service, writer: GroupWriter) -> None:
        self._service = service
        self._writer = writer
        self._bridge: LoopBridge[BatchResult] | None = None

    async def ingest(
        self,
        body: EventBody,
        principal: Principal,
        options: DecodeOptions = _DEFAULT_OPTIONS,
        log_format: LogFormat | None = None,
    ) -> Response:
        """Store the events of a body, and answer once they are stored. Raises ApiProblem, LogFormatError."""
        chosen = format_of(body.media, log_format)
        options = msgspec.structs.replace(options, now=self._service.clock(), require_id=chosen == "native")
        if len(body.data) <= MAX_DECODED_IN_LOOP_BYTES:
            batch = _batch_of(body, chosen, options, self._service)
        else:
            batch = await run_in_threadpool(_batch_of, body, chosen, options, self._service)
        try:
            result = await self._store(batch, _origin(body, chosen, options, principal))
        except TooBusyError as error:
            raise ApiProblem(error.code, str(error), headers={"retry-after": str(RETRY_AFTER_SECONDS)}) from None
        return _response(result)

    def close(self) -> None:
        """Accept no more events, and store those that are waiting."""
        self._writer.close()

    async def _store(self, batch: Batch, origin: Origin) -> BatchResult:
        # A client that disconnects cancels only its response, not the batch, which may share its commit with others.
        loop = asyncio.get_running_loop()
        if self._bridge is None or self._bridge.loop is not loop:
            self._bridge = LoopBridge(loop)
        future, on_result = self._bridge.new_future()
        self._writer.submit(batch, origin, on_result)
        return await future


class EventsFastPath:
    """ASGI middleware: answers ``POST /v1/events`` without a query itself, and passes on every other request."""

    def __init__(self, app: ASGIApp, service: Service, api_keys: ApiKeyCache, intake: Intake) -> None:
        self._app = app
        self._service = service
        self._api_keys = api_keys
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = PATH
        try:
            response = await self._respond(Request(scope, receive))
        except Exception as error:
            problem = problem_of(error, "POST")
            if problem is None:
                raise
            response = problem_response(problem, PATH)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        principal = await self._api_keys.sender(request, self._service)
        return await self._intake.ingest(await event_body(request, self._service), principal)


async def current_intake(request: Request) -> Intake:
    """Return the intake of the application."""
    intake: Intake = request.app.state.intake
    return intake


IntakeNow = Annotated[Intake, Depends(current_intake)]


def _origin(body: EventBody, chosen: LogFormat, options: DecodeOptions, principal: Principal) -> Origin:
    def raw_of(offset: int, length: int) -> bytes:
        return body.data[offset : offset + length]

    parameters = {"format": chosen, "media": body.media, "options": options}
    return Origin(
        source=options.source,
        options=msgspec.json.encode(parameters).decode(),
        create_accounts=principal.key.creates_accounts,
        raw_of=raw_of,
        bound_account_id=None if principal.account is None else principal.account.id,
        key_id=principal.key.id,
    )


def _batch_of(body: EventBody, chosen: LogFormat, options: DecodeOptions, service: Service) -> Batch:
    block = decode_body(body, chosen, options)
    count, limit = len(block.events) + len(block.rejected), service.settings.max_batch_events
    if count > limit:
        raise ApiProblem(
            "too_many_events", f"the body has {count:,} records, the limit is {limit:,}; nothing was stored, send fewer at once"
        )
    return BatchBuilder(service.settings.ingest.declared_tags).batch_of(block)


def _response(result: BatchResult) -> Response:
    answer = ingest_answer(result)
    if result.received and result.rejected == result.received:
        records = "the record was" if result.received == 1 else f"all {result.received:,} records were"
        codes = ", ".join(sorted({item.code for item in result.items}))
        raise ApiProblem("all_rejected", f"{records} rejected: {codes}", members=msgspec.to_builtins(answer))
    return Response(msgspec.json.encode(answer), media_type=JSON)

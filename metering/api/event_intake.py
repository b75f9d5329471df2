"""Taking events: what was sent is read, waits for the commit that it shares with others, and is answered after it.

A request without a query, which nearly every client sends, does not go through FastAPI's reading of parameters: that would
cost more than all the rest.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from metering.api.event_bodies import LogFormat, ReadBody, SentBody, format_of, read_events, sent_body
from metering.api.event_models import IngestAnswer, ItemAnswer
from metering.domain.batches import Batch, BatchBuilder
from metering.domain.outcomes import BatchResult
from metering.formats.options import DecodeOptions
from metering.operations.ingest import Origin
from metering.operations.open_service import Service
from metering.runtime.group_writer import GroupWriter, TooBusyError
from metering.web.principal import Principal
from metering.web.problems import ApiProblem

# A larger body is decoded in a thread: other requests would wait for it.
DECODED_AT_ONCE_BYTES = 32 * 1024
RETRY_AFTER_SECONDS = 1


async def current_writer(request: Request) -> GroupWriter:
    """Return the writer that all requests share."""
    writer: GroupWriter = request.app.state.writer
    return writer


Writer = Annotated[GroupWriter, Depends(current_writer)]


class IntakeRoute(APIRoute):
    """The route of events: its endpoint is called directly where a request states nothing but a body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        with_parameters = super().get_route_handler()
        if "POST" not in (self.methods or ()):
            return with_parameters

        async def answer(request: Request) -> Response:
            if request.scope["query_string"]:
                return await with_parameters(request)
            state = request.app.state
            service: Service = state.service
            principal = await state.senders.sender(request, service)
            sent = await sent_body(request, service)
            return await taken(sent, DecodeOptions(source="api", now=0), None, principal, (service, state.writer))

        return answer


async def taken(
    sent: SentBody,
    stated: DecodeOptions,
    log_format: LogFormat | None,
    principal: Principal,
    by: tuple[Service, GroupWriter],
) -> JSONResponse:
    """Store what was sent, and answer when it is stored. Raises ApiProblem, LogFormatError."""
    service, writer = by
    chosen = format_of(sent.media, log_format)
    options = msgspec.structs.replace(stated, now=service.clock(), require_id=chosen == "native")
    if len(sent.data) <= DECODED_AT_ONCE_BYTES:
        read, batch = _read(sent, chosen, options, service)
    else:
        read, batch = await run_in_threadpool(_read, sent, chosen, options, service)

    def raw_of(offset: int, length: int) -> bytes:
        return sent.data[offset : offset + length]

    how = {"format": chosen, "media": sent.media, "options": options}
    origin = Origin(
        source=options.source,
        options=msgspec.json.encode(how).decode(),
        create_accounts=principal.key.creates_accounts,
        raw_of=raw_of,
        bound_account_id=None if principal.account is None else principal.account.id,
        key_id=principal.key.id,
    )
    try:
        # Shielded: a client that goes away takes its answer with it, not the batch that others may share a commit with.
        result = await asyncio.shield(asyncio.wrap_future(writer.submit(batch, origin)))
    except TooBusyError as error:
        raise ApiProblem(error.code, str(error), headers={"retry-after": str(RETRY_AFTER_SECONDS)}) from None
    return _answer(result, read)


def _read(sent: SentBody, chosen: LogFormat, options: DecodeOptions, service: Service) -> tuple[ReadBody, Batch]:
    read = read_events(sent, chosen, options)
    count, most = len(read.block.events) + len(read.block.rejected), service.settings.max_batch_events
    if count > most:
        raise ApiProblem("too_many_events", f"there are {count} records, at most {most} are taken at once; nothing was stored")
    return read, BatchBuilder(service.settings.ingest.declared_tags).batch_of(read.block)


def _answer(result: BatchResult, read: ReadBody) -> JSONResponse:
    items = [
        ItemAnswer(
            index=item.line if read.by_index else None,
            line=None if read.by_index else item.line,
            outcome=item.outcome,
            code=item.code,
            reason=item.reason,
            id=item.id,
            field=item.field,
        )
        for item in sorted(result.items, key=lambda item: item.line)
    ]
    counts = {name: getattr(result, name) for name in IngestAnswer.model_fields if name not in ("copy_", "items")}
    answer = IngestAnswer(copy_=result.copy, items=items, **counts).model_dump(mode="json", by_alias=True)
    if result.received and result.rejected == result.received:
        reasons = ", ".join(sorted({item.code for item in items}))
        raise ApiProblem("all_rejected", f"none of {result.received} records could become an event: {reasons}", members=answer)
    return JSONResponse(answer)

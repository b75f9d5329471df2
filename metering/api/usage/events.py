"""``/v1/events``: send usage, and list it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from msgspec.structs import replace
from pydantic import Field

from metering.answers.usage.events import EventPage, logged_event_answer
from metering.answers.usage.ingest import IngestAnswer
from metering.api.fields import AccountParameter, EndParameter, StartParameter
from metering.api.openapi import problems, reference
from metering.api.usage.event_bodies import CLOUDEVENT, CLOUDEVENTS, CSV, NDJSON, EventBodyNow, LogFormat, QueryOptions
from metering.api.usage.event_intake import IntakeNow
from metering.api.usage.native_event import NATIVE_EXAMPLE, NativeEvent
from metering.domain.instants import format_instant
from metering.domain.usage.logged_events import FILTER_CODES, EventPosition, EventQuery
from metering.operations.usage.list_events import list_events
from metering.web import query
from metering.web.api_key_cache import Sender, check_own_account
from metering.web.bodies import JSON
from metering.web.pages import PageNow
from metering.web.principal import Reader, ServiceNow

router = APIRouter(prefix="/v1/events", tags=["events"])

Values = list[str] | None
Filters = dict[str, tuple[str | int, ...]]
Status = Annotated[int, Field(ge=100, le=599)]
PriceGrades = list[Literal["rated", "reported", "unpriced", "exempt", "gateway_cache"]] | None
QuantityGrades = list[Literal["measured", "estimated", "unstated"]] | None


def _only(what: str, example: str | int) -> Any:
    return Query(max_length=1_000, description=f"Only events {what}.", examples=[[example]])


def _request_body() -> dict[str, Any]:
    """Describe the body. FastAPI does not read it, because each record is checked separately."""
    one, several = reference(NativeEvent), {"type": "array", "items": reference(NativeEvent)}
    envelope = {"specversion": "1.0", "id": "req_01", "source": "gateway-1", "type": "llm.request", "data": NATIVE_EXAMPLE}
    cloudevent = {
        "type": "object",
        "description": "CloudEvents 1.0 in structured mode. `data` is the event; `id`, `source`, `time` and `subject` (the"
        " account) apply where it does not state them.",
    }
    lines = {"type": "string", "description": "One event per line; with `format=openai`, one logged request per line."}
    rows = {"type": "string", "description": "A header and rows. `columns` maps event fields to columns."}
    content = {
        JSON: {"schema": {"oneOf": [one, several]}, "example": [NATIVE_EXAMPLE]},
        NDJSON: {"schema": lines, "example": msgspec.json.encode(NATIVE_EXAMPLE).decode() + "\n"},
        CLOUDEVENT: {"schema": cloudevent, "example": envelope},
        CLOUDEVENTS: {"schema": {"type": "array", "items": cloudevent}, "example": [envelope]},
        CSV: {"schema": rows, "example": "id,time,model,input_tokens\r\nreq_01,2026-11-03T10:15:00Z,m,1200\r\n"},
    }
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "",
    operation_id="ingest_events",
    summary="Send events",
    response_class=Response,
    responses={
        200: {"description": "Successful Response", "content": {JSON: {"schema": reference(IngestAnswer)}}},
        **problems(
            "not_found", "not_json", "unknown_format", "empty_file", "missing_column", "invalid_encoding",
            "malformed_request", "unsupported_media_type", "body_too_large", "too_many_events",
            "all_rejected", "invalid_time", "too_busy",
        ),
    },
    openapi_extra=_request_body(),
)  # fmt: skip
async def post_events(
    *,
    principal: Sender,
    service: ServiceNow,
    intake: IntakeNow,
    options: QueryOptions,
    body: EventBodyNow,
    account: AccountParameter = None,
    log_format: Annotated[
        LogFormat | None,
        Query(
            alias="format",
            description="The format of the records: `native` events, `openai` request logs, or `csv`. Default: by media type.",
            examples=["openai"],
        ),
    ] = None,
) -> Response:
    """Store events. The answer is sent after the commit: accepted events are stored, and sending them again counts nothing
    twice. One bad record does not affect the others. If every record is rejected, the answer is a problem `all_rejected` (422)
    with the same counts and items. A body that cannot be read at all is a problem, and nothing of it is kept.

    A key that is bound to an account stores to that account only; a record that names another account is rejected
    (`account_mismatch`). Any other key stores to the account that the record names, else to `account`. Usage of an undeclared
    account goes to `unassigned`, unless the key may create accounts. The body can be compressed with gzip.
    """
    if account is not None and principal.account is not None:
        await check_own_account(principal, service, account)
    is_bound = principal.account is not None
    return await intake.ingest(body, principal, replace(options, account="" if is_bound else account or ""), log_format)


def event_filters(  # noqa: PLR0913 - one argument per query parameter
    *,
    id: Annotated[Values, _only("with this ID", "req_01")] = None,  # noqa: A002 - the parameter's name
    source: Annotated[Values, _only("of this source", "gateway-1")] = None,
    provider: Annotated[Values, _only("of this provider", "together")] = None,
    model: Annotated[Values, _only("of this model", "openai/gpt-oss-120b")] = None,
    operation: Annotated[Values, _only("of this operation", "chat")] = None,
    route: Annotated[Values, _only("of this billing route", "routed")] = None,
    project: Annotated[Values, _only("of this project", "search")] = None,
    key: Annotated[Values, _only("of this caller's key", "prod-1")] = None,
    response_id: Annotated[Values, _only("with this response ID", "ebafdc12cee84cf29c1b")] = None,
    inference_id: Annotated[Values, _only("with this `Inference-Id`", "0-019ff423")] = None,
    status: Annotated[list[Status] | None, _only("with this HTTP status", 200)] = None,
    price_grade: Annotated[PriceGrades, _only("with this price grade", "unpriced")] = None,
    quantity_grade: Annotated[QuantityGrades, _only("with this quantity grade", "estimated")] = None,
    billable: Annotated[
        bool | None, Query(description="Only events that Hugging Face bills, or only others.", examples=[True])
    ] = None,
) -> Filters:
    """Return the filters for listing events."""
    filters: dict[str, Sequence[str | int] | None] = {
        "id": id, "source": source, "provider": provider, "model": model, "operation": operation, "route": route,
        "project": project, "key": key, "response_id": response_id, "inference_id": inference_id, "status": status,
        "price_grade": _coded("price_grade", price_grade), "quantity_grade": _coded("quantity_grade", quantity_grade),
        "billable": None if billable is None else [int(billable)],
    }  # fmt: skip
    return {name: tuple(values) for name, values in filters.items() if values is not None}


@router.get(
    "",
    operation_id="list_events",
    summary="List events",
    responses=problems("not_found", "account_required", "invalid_cursor", "invalid_time", "naive_time", "events_retired"),
)
def get_events(
    *,
    principal: Reader,
    service: ServiceNow,
    page: PageNow,
    filters: Annotated[Filters, Depends(event_filters)],
    account: AccountParameter = None,
    start: StartParameter = None,
    end: EndParameter = None,
) -> EventPage:
    """List the events of an account by time, each with its current charge. A filter can be repeated to match several values.
    Events that arrive while you page through the list are neither repeated nor cause others to be skipped.
    """
    row = principal.find_account(service, account)
    first, last = query.period(start, end, service.clock())
    question = ["events", row.id, first, last, filters]
    after = None if page.cursor is None else EventPosition(*map(int, page.start(question, [0, 0])))
    events = list_events(service.engine, EventQuery(row.id, first, last, filters), after=after, limit=page.rows)
    return page.of(
        EventPage,
        events,
        answer=lambda event: logged_event_answer(event, row.name),
        key=lambda event: event.position,
        question=question,
        account=row.name,
        start=format_instant(first),
        end=format_instant(last),
    )


def _coded(name: str, values: Sequence[str] | None) -> list[int] | None:
    return None if values is None else [FILTER_CODES[name][value] for value in values]

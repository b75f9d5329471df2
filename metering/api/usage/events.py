"""``/v1/events``: send what was used, and look it up again."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from msgspec.structs import replace
from pydantic import Field

from metering.api.fields import (
    DEFAULT_PAGE,
    AccountParameter,
    CursorParameter,
    EndParameter,
    LimitParameter,
    StartParameter,
)
from metering.api.openapi import problems, reference
from metering.api.usage.event_bodies import CLOUDEVENT, CLOUDEVENTS, CSV, NDJSON, LogFormat, Sent, Stated
from metering.api.usage.event_intake import IntakeNow
from metering.api.usage.native_event import NATIVE_EXAMPLE, EventPage, IngestAnswer, LoggedEventAnswer, NativeEvent
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.logged_events import FILTER_CODES, EventPosition, EventQuery, LoggedEvent
from metering.operations.usage.list_events import list_events
from metering.web import query
from metering.web.api_key_cache import Sender, check_own_account
from metering.web.bodies import JSON
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Reader, ServiceNow
from pricing.dollars import format_nano
from pricing.quantities import ALL_KINDS

router = APIRouter(prefix="/v1/events", tags=["events"])

Values = list[str] | None
Filters = dict[str, tuple[str | int, ...]]
Status = Annotated[int, Field(ge=100, le=599)]
Grades = list[Literal["rated", "reported", "unpriced", "exempt"]] | None
QuantityGrades = list[Literal["measured", "estimated", "unstated"]] | None


def _only(what: str, example: str | int) -> Any:
    return Query(max_length=1_000, description=f"Only events {what}.", examples=[[example]])


def _request_body() -> dict[str, Any]:
    """Describe the body, which is read by hand because each record is judged on its own."""
    one, several = reference(NativeEvent), {"type": "array", "items": reference(NativeEvent)}
    envelope = {"specversion": "1.0", "id": "req_01", "source": "gateway-1", "type": "llm.request", "data": NATIVE_EXAMPLE}
    cloudevent = {
        "type": "object",
        "description": "CloudEvents 1.0 in structured mode; `data` is the event, and `id`, `source`, `time` and `subject` (the"
        " account) fill what it leaves out.",
    }
    lines = {"type": "string", "description": "One event a line; with `format=openai`, one logged request a line."}
    rows = {"type": "string", "description": "A header and rows; `columns` says which column holds which field."}
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
    response_model=IngestAnswer,
    responses=problems(
        "not_found", "not_json", "unknown_format", "empty_file", "missing_column", "invalid_encoding",
        "malformed_request", "unsupported_media_type", "body_too_large", "too_many_events",
        "all_rejected", "invalid_time", "too_busy",
    ),
    openapi_extra=_request_body(),
)  # fmt: skip
async def post_events(
    *,
    principal: Sender,
    service: ServiceNow,
    intake: IntakeNow,
    stated: Stated,
    sent: Sent,
    account: AccountParameter = None,
    log_format: Annotated[
        LogFormat | None,
        Query(
            alias="format",
            description="The format of the records: `native` events, `openai` request logs, or `csv`. Left out: told from the"
            " media type.",
            examples=["openai"],
        ),
    ] = None,
) -> Response:
    """Store events. The answer comes after the commit: what it counts as accepted is stored, and sending it again counts
    nothing twice. One bad record costs no other; where every record was rejected, the answer is a problem `all_rejected` (422)
    that carries the same counts and items. A body that can not be read at all is a problem and nothing of it is kept.

    A key that is bound to an account stores to that account alone: a record that names another is rejected
    (`account_mismatch`). Any other key stores to the account that the record, else `account`, names; one that nobody has
    declared is `unassigned`, unless the key declares accounts. The body may be gzip.
    """
    if account is not None and principal.account is not None:
        await check_own_account(principal, service, account)
    own = principal.account is not None
    options = replace(stated, account="" if own else account or "")
    return await intake.take(sent, principal, options, log_format)


def stated_filters(  # noqa: PLR0913 - one argument a query parameter
    *,
    id: Annotated[Values, _only("with this id", "req_01")] = None,  # noqa: A002 - the parameter's name
    source: Annotated[Values, _only("of this source", "gateway-1")] = None,
    provider: Annotated[Values, _only("of this provider", "together")] = None,
    model: Annotated[Values, _only("of this model", "openai/gpt-oss-120b")] = None,
    operation: Annotated[Values, _only("of this operation", "chat")] = None,
    route: Annotated[Values, _only("of this route", "routed")] = None,
    project: Annotated[Values, _only("of this project", "search")] = None,
    key: Annotated[Values, _only("of this caller's key", "prod-1")] = None,
    response_id: Annotated[Values, _only("with this response id", "ebafdc12cee84cf29c1b")] = None,
    inference_id: Annotated[Values, _only("with this `Inference-Id`", "0-019ff423")] = None,
    status: Annotated[list[Status] | None, _only("with this HTTP status", 200)] = None,
    price_grade: Annotated[Grades, _only("priced like this", "unpriced")] = None,
    quantity_grade: Annotated[QuantityGrades, _only("known like this", "estimated")] = None,
    billable: Annotated[bool | None, Query(description="Only billable events, or only others.", examples=[True])] = None,
) -> Filters:
    """Return the values that events are limited to."""
    stated: dict[str, Sequence[str | int] | None] = {
        "id": id, "source": source, "provider": provider, "model": model, "operation": operation, "route": route,
        "project": project, "key": key, "response_id": response_id, "inference_id": inference_id, "status": status,
        "price_grade": _coded("price_grade", price_grade), "quantity_grade": _coded("quantity_grade", quantity_grade),
        "billable": None if billable is None else [int(billable)],
    }  # fmt: skip
    return {name: tuple(values) for name, values in stated.items() if values is not None}


@router.get(
    "",
    operation_id="list_events",
    summary="Look events up",
    responses=problems("not_found", "account_required", "invalid_cursor", "invalid_time", "naive_time"),
)
def get_events(
    *,
    principal: Reader,
    service: ServiceNow,
    filters: Annotated[Filters, Depends(stated_filters)],
    account: AccountParameter = None,
    start: StartParameter = None,
    end: EndParameter = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> EventPage:
    """List the events of an account by their time, each with what it costs by now. Filters can be repeated for several values.
    Events that arrive while pages are read neither repeat nor hide others.
    """
    row = principal.find_account(service, account)
    first, last = query.period(start, end, service.clock())
    question = ["events", row.id, first, last, filters]
    after = None
    if cursor is not None:
        event_time, event_id = read_cursor(cursor, question, [int, int])
        after = EventPosition(int(event_time), int(event_id))
    asked = EventQuery(row.id, first, last, filters)
    found = list_events(service.engine, asked, after=after, limit=limit + 1)
    return EventPage(
        account=row.name,
        start=format_instant(first),
        end=format_instant(last),
        items=[event_answer(each, row.name) for each in found[:limit]],
        next_cursor=write_cursor(found[limit - 1].position, question) if len(found) > limit else None,
    )


def _coded(name: str, values: Sequence[str] | None) -> list[int] | None:
    return None if values is None else [FILTER_CODES[name][value] for value in values]


def event_answer(event: LoggedEvent, account: str) -> LoggedEventAnswer:
    """Return an event as it is answered; ``account`` is the name of who is billed."""
    charge = event.charge_nano
    used = {kind: getattr(event.quantities, kind) for kind in ALL_KINDS}
    same = {name: getattr(event, name) for name in LoggedEventAnswer.model_fields if hasattr(event, name)}
    return LoggedEventAnswer.model_validate(
        {
            **same,
            "account": account,
            "time": format_instant(event.position.event_time),
            "received_at": format_instant(event.received_at),
            "quantities": {kind: count for kind, count in used.items() if count},
            "quantity_grade": event.quantity_grade.name.lower(),
            "charge_nano_usd": charge,
            "charge_usd": None if charge is None else format_nano(charge),
            "price_grade": event.price_grade.name.lower(),
            "billing_month": format_month(event.billing_month),
            "reported_cost_nano_usd": event.reported_cost_nano,
            "gateway_cost_nano_usd": event.gateway_cost_nano,
        }
    )

"""``/v1/webhooks/{webhook}/deliveries``, ``redeliver`` and ``test``: what was sent to an endpoint, and sending it again."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from metering.api.alerts.webhooks import WebhookId, owner_of
from metering.api.fields import (
    DEFAULT_PAGE,
    Answer,
    CursorParameter,
    LimitParameter,
    RequestModel,
    instant_field,
    next_cursor_field,
)
from metering.api.openapi import problems
from metering.domain.alerts.webhook_deliveries import DeliveryLog as FoundDelivery
from metering.domain.alerts.webhook_deliveries import DeliveryQuery, RedeliveryResult
from metering.domain.instants import format_instant
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.redeliver import redeliver, redeliver_one
from metering.operations.alerts.send_test_event import request_test
from metering.web.bodies import require_json
from metering.web.cursors import read_cursor, write_cursor
from metering.web.principal import Admin, ServiceNow
from metering.web.problems import ApiProblem
from metering.web.query import instant

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_LONGEST_TYPE = 64

Status = Literal["pending", "delivered", "failed", "held", "cancelled"]
Finished = Literal["delivered", "failed", "held"]


class DeliveryAttempt(Answer):
    """One time that a message was sent."""

    started_at: str = instant_field("When it was sent")
    latency_ms: int = Field(description="How long it took, in milliseconds.", examples=[84])
    status_code: int | None = Field(description="What was answered; null: nothing.", examples=[503])
    error_code: str = Field(
        description="What went wrong, stable; empty: it was taken. `refused` is a status that is not 2xx.", examples=["refused"]
    )
    error_message: str = Field(description="The same in words.", examples=["the receiver answered 503"])
    answer: str = Field(description="The begin of what was answered, 1,024 bytes at most.", examples=["try again later"])


class Delivery(Answer):
    """A message to an endpoint, and how it went."""

    id: int = Field(description="The delivery.", examples=[41])
    webhook_id: str = Field(
        description="The `webhook-id` of the message, the same at every attempt.",
        examples=["msg_9f2ab61c03de4c1fa5d0b1c2d3e4f506"],
    )
    type: str = Field(description="What happened.", examples=["price.changed"])
    alert_id: int | None = Field(description="The alert; null: a test.", examples=[12])
    status: Status = Field(
        description="`pending`: it is sent, again if need be. `delivered`. `failed`: given up. `held`: the endpoint is, or"
        " was, disabled. `cancelled`: the endpoint was deleted.",
        examples=["pending"],
    )
    tries: int = Field(description="How often it was sent since it was last asked for.", examples=[1])
    next_attempt_at: str | None = instant_field("When it is sent next; null: not any more", None)
    created_at: str = instant_field("When it was written")
    finished_at: str | None = instant_field("When it was over; null: it is not", None)
    attempts: list[DeliveryAttempt] = Field(description="Every attempt, the oldest first.", examples=[[]])


class DeliveryPage(Answer):
    """A page of deliveries, newest first."""

    items: list[Delivery] = Field(description="The deliveries.", examples=[[]])
    next_cursor: str | None = next_cursor_field()


class Redelivery(RequestModel):
    """What is to be sent again: one `delivery`, or all of a period and of some statuses."""

    delivery: int | None = Field(None, ge=1, le=2**63 - 1, description="One delivery.", examples=[41])
    status: list[Finished] = Field(
        default=[], max_length=3, description="Which; left out: what failed or was held.", examples=[["failed"]]
    )
    start: str | None = Field(
        None, max_length=40, description="Only what was written from then on.", examples=["2026-11-01T00:00:00Z"]
    )
    end: str | None = Field(None, max_length=40, description="Only what was written before then.", examples=["2026-12-01"])


class RedeliveryAnswer(Answer):
    """What is sent again."""

    deliveries: int = Field(description="How many.", examples=[3])
    more: bool = Field(description="Whether there are more that were asked for: ask again.", examples=[False])


@router.get(
    "/{webhook}/deliveries",
    operation_id="list_deliveries",
    summary="List deliveries",
    responses=problems("not_found", "invalid_cursor", "invalid_time", "naive_time", "invalid_webhook"),
)
def get_deliveries(
    *,
    principal: Admin,
    service: ServiceNow,
    webhook: WebhookId,
    status: Annotated[
        list[Status] | None, Query(description="Only deliveries in this state; may be repeated.", examples=[["failed"]])
    ] = None,
    type_: Annotated[
        str | None,
        Query(alias="type", max_length=_LONGEST_TYPE, description="Only alerts of this type.", examples=["price.changed"]),
    ] = None,
    start: Annotated[
        str | None,
        Query(max_length=40, description="Only what was written from then on.", examples=["2026-11-01T00:00:00Z"]),
    ] = None,
    end: Annotated[
        str | None, Query(max_length=40, description="Only what was written before then.", examples=["2026-12-01"])
    ] = None,
    limit: LimitParameter = DEFAULT_PAGE,
    cursor: CursorParameter = None,
) -> DeliveryPage:
    """List what was, and is to be, sent to an endpoint, newest first, with every attempt."""
    asked = ["deliveries", webhook, sorted(status or ()), type_, start, end]
    before = None if cursor is None else int(read_cursor(cursor, asked, [int])[0])
    question = DeliveryQuery(webhook, tuple(status or ()), type_, _instant("start", start), _instant("end", end))
    found = list_deliveries(service.engine, question, owner=owner_of(principal), before=before, limit=limit + 1)
    return DeliveryPage(
        items=[_delivery(each) for each in found[:limit]],
        next_cursor=write_cursor([found[limit - 1].row.id], asked) if len(found) > limit else None,
    )


@router.post(
    "/{webhook}/redeliver",
    operation_id="redeliver",
    summary="Send again",
    responses=problems(
        "not_found", "webhook_disabled", "invalid_time", "naive_time", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_redelivery(principal: Admin, service: ServiceNow, webhook: WebhookId, body: Redelivery) -> RedeliveryAnswer:
    """Send one delivery again, or many: the same messages with the same `webhook-id`, from the first attempt."""
    owner, now = owner_of(principal), service.clock()
    if body.delivery is None:
        start, end = _instant("body.start", body.start), _instant("body.end", body.end)
        question = DeliveryQuery(webhook, tuple(body.status), None, start, end)
        return _redelivered(redeliver(service.engine, question, owner=owner, now=now))
    if body.status or body.start is not None or body.end is not None:
        raise ApiProblem("invalid_request", "name one delivery, or say which, not both")
    return _redelivered(redeliver_one(service.engine, webhook, body.delivery, owner=owner, now=now))


@router.post(
    "/{webhook}/test",
    operation_id="test_webhook",
    summary="Send a test",
    status_code=202,
    responses=problems("not_found", "webhook_disabled"),
)
def post_test(principal: Admin, service: ServiceNow, webhook: WebhookId) -> Delivery:
    """Send an endpoint a message of the type `webhook.test`, whatever it asks for. The log says what came of it."""
    row = request_test(service.engine, webhook, owner=owner_of(principal), now=service.clock())
    return _delivery(FoundDelivery(row, []))


def _instant(name: str, text: str | None) -> int | None:
    return None if text is None else instant(name, text)


def _redelivered(done: RedeliveryResult) -> RedeliveryAnswer:
    return RedeliveryAnswer(deliveries=done.deliveries, more=done.more)


def _delivery(found: FoundDelivery) -> Delivery:
    row = found.row
    attempts: list[dict[str, Any]] = [
        {**each._asdict(), "started_at": format_instant(each.started_at)} for each in found.attempts
    ]
    return Delivery.model_validate(
        {
            "id": row.id,
            "webhook_id": row.message,
            "type": row.type,
            "alert_id": row.alert_id,
            "status": row.status,
            "tries": row.tries,
            "next_attempt_at": None if row.due_at is None else format_instant(row.due_at),
            "created_at": format_instant(row.created_at),
            "finished_at": None if row.finished_at is None else format_instant(row.finished_at),
            "attempts": attempts,
        }
    )

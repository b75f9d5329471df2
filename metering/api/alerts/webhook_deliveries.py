"""``/v1/webhooks/{webhook}/deliveries``, ``redeliver`` and ``test``: the log of an endpoint, and sending again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from metering.answers.alerts.webhook_deliveries import (
    DeliveryAnswer,
    DeliveryPage,
    DeliveryStatus,
    RedeliveryAnswer,
    delivery_answer,
    redelivery_answer,
)
from metering.api.alerts.webhooks import WebhookId, owner_of
from metering.api.fields import RequestModel
from metering.api.openapi import problems
from metering.domain.alerts.webhook_deliveries import DeliveryQuery
from metering.operations.alerts.list_deliveries import list_deliveries
from metering.operations.alerts.redeliver import redeliver, redeliver_one
from metering.operations.alerts.send_test_message import request_test
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, ServiceNow
from metering.web.problems import ApiProblem
from metering.web.query import instant

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_LONGEST_TYPE = 64
_START = "Only deliveries created at or after this time."
_END = "Only deliveries created before this time."


class RedeliveryRequest(RequestModel):
    """Which deliveries to send again: one `delivery`, or all that match a period and statuses."""

    delivery: int | None = Field(None, ge=1, le=2**63 - 1, description="ID of one delivery.", examples=[41])
    status: list[Literal["delivered", "failed", "held"]] = Field(
        default=[], max_length=3, description="Only these statuses. Default: `failed` and `held`.", examples=[["failed"]]
    )
    start: str | None = Field(None, max_length=40, description=_START, examples=["2026-11-01T00:00:00Z"])
    end: str | None = Field(None, max_length=40, description=_END, examples=["2026-12-01"])


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
    page: PageNow,
    webhook: WebhookId,
    status: Annotated[
        list[DeliveryStatus] | None, Query(description="Only this status; may be repeated.", examples=[["failed"]])
    ] = None,
    type_: Annotated[
        str | None,
        Query(alias="type", max_length=_LONGEST_TYPE, description="Only alerts of this type.", examples=["price.changed"]),
    ] = None,
    start: Annotated[str | None, Query(max_length=40, description=_START, examples=["2026-11-01T00:00:00Z"])] = None,
    end: Annotated[str | None, Query(max_length=40, description=_END, examples=["2026-12-01"])] = None,
) -> DeliveryPage:
    """List the deliveries to an endpoint, newest first, with every attempt."""
    question = ["deliveries", webhook, sorted(status or ()), type_, start, end]
    before = int(page.start(question, [0])[0]) or None
    query = DeliveryQuery(webhook, tuple(status or ()), type_, _instant("start", start), _instant("end", end))
    logs = list_deliveries(service.engine, query, owner=owner_of(principal), before=before, limit=page.rows)
    return page.of(DeliveryPage, logs, answer=delivery_answer, key=lambda each: [each.delivery.id], question=question)


@router.post(
    "/{webhook}/redeliver",
    operation_id="redeliver",
    summary="Send deliveries again",
    responses=problems(
        "not_found", "webhook_disabled", "invalid_time", "naive_time", "unsupported_media_type", "body_too_large", "not_json"
    ),
    dependencies=[Depends(require_json)],
)
def post_redelivery(principal: Admin, service: ServiceNow, webhook: WebhookId, body: RedeliveryRequest) -> RedeliveryAnswer:
    """Send one delivery or many again: the same messages with the same `webhook-id`, starting over at the first attempt."""
    owner, now = owner_of(principal), service.clock()
    if body.delivery is None:
        start, end = _instant("body.start", body.start), _instant("body.end", body.end)
        query = DeliveryQuery(webhook, tuple(body.status), None, start, end)
        return redelivery_answer(redeliver(service.engine, query, owner=owner, now=now))
    if body.status or body.start is not None or body.end is not None:
        raise ApiProblem("invalid_request", "send either delivery, or status, start and end, not both")
    return redelivery_answer(redeliver_one(service.engine, webhook, body.delivery, owner=owner, now=now))


@router.post(
    "/{webhook}/test",
    operation_id="test_webhook",
    summary="Send a test",
    status_code=202,
    responses=problems("not_found", "webhook_disabled"),
)
def post_test(principal: Admin, service: ServiceNow, webhook: WebhookId) -> DeliveryAnswer:
    """Queue a message of type `webhook.test` for an endpoint, whatever alerts it receives. Its outcome is in the deliveries."""
    return delivery_answer(request_test(service.engine, webhook, owner=owner_of(principal), now=service.clock()))


def _instant(name: str, text: str | None) -> int | None:
    return None if text is None else instant(name, text)

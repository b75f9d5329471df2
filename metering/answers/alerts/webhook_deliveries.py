"""Answers about deliveries to webhook endpoints."""

from typing import Literal

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field, optional_instant
from metering.domain.alerts.webhook_deliveries import DeliveryAttempt, DeliveryLog, RedeliveryResult
from metering.domain.instants import format_instant

DeliveryStatus = Literal["pending", "delivered", "failed", "held", "cancelled"]


class DeliveryAttemptAnswer(Answer):
    """One attempt to send a message."""

    started_at: str = instant_field("When it was sent")
    latency_ms: int = Field(description="How long it took, in milliseconds.", examples=[84])
    status_code: int | None = Field(description="HTTP status of the response; null: no response.", examples=[503])
    error_code: str = Field(
        description="A stable code; empty on success. `refused` is any status that is not 2xx.", examples=["refused"]
    )
    error_message: str = Field(description="What went wrong.", examples=["the receiver returned 503"])
    answer: str = Field(description="The start of the response, at most 1,024 bytes.", examples=["try again later"])


class DeliveryAnswer(Answer):
    """A message on its way to an endpoint, with every attempt."""

    id: int = Field(description="ID of the delivery.", examples=[41])
    webhook_id: str = Field(
        description="The `webhook-id` of the message, the same for every attempt.",
        examples=["msg_9f2ab61c03de4c1fa5d0b1c2d3e4f506"],
    )
    type: str = Field(description="The type of the alert.", examples=["price.changed"])
    alert_id: int | None = Field(description="ID of the alert; null: a test.", examples=[12])
    status: DeliveryStatus = Field(
        description="`pending`: will be sent or retried. `delivered`. `failed`: all attempts failed. `held`: the endpoint is,"
        " or was, disabled. `cancelled`: the endpoint was deleted.",
        examples=["pending"],
    )
    tries: int = Field(description="Number of attempts since it was last queued.", examples=[1])
    next_attempt_at: str | None = instant_field("When the next attempt is due; null: none is", None)
    created_at: str = instant_field("When it was created")
    finished_at: str | None = instant_field("When it was finished or held; null: it is pending", None)
    attempts: list[DeliveryAttemptAnswer] = Field(description="Every attempt, oldest first.", examples=[[]])


class DeliveryPage(Page):
    """A page of deliveries, newest first."""

    items: list[DeliveryAnswer] = Field(description="The deliveries.", examples=[[]])


class RedeliveryAnswer(Answer):
    """Deliveries that were queued again."""

    deliveries: int = Field(description="How many were queued.", examples=[3])
    more: bool = Field(description="Whether more deliveries match: repeat the request for them.", examples=[False])


def delivery_answer(log: DeliveryLog) -> DeliveryAnswer:
    """Return a delivery with its attempts."""
    delivery = log.delivery
    return DeliveryAnswer.model_validate(
        {
            "id": delivery.id,
            "webhook_id": delivery.message,
            "type": delivery.type,
            "alert_id": delivery.alert_id,
            "status": delivery.status,
            "tries": delivery.tries,
            "next_attempt_at": optional_instant(delivery.due_at),
            "created_at": format_instant(delivery.created_at),
            "finished_at": optional_instant(delivery.finished_at),
            "attempts": [_attempt_answer(each) for each in log.attempts],
        }
    )


def redelivery_answer(result: RedeliveryResult) -> RedeliveryAnswer:
    """Return how many deliveries were queued again."""
    return RedeliveryAnswer(deliveries=result.deliveries, more=result.more)


def _attempt_answer(attempt: DeliveryAttempt) -> DeliveryAttemptAnswer:
    return DeliveryAttemptAnswer(
        started_at=format_instant(attempt.started_at),
        latency_ms=attempt.latency_ms,
        status_code=attempt.status_code,
        error_code=attempt.error_code,
        error_message=attempt.error_message,
        answer=attempt.answer,
    )

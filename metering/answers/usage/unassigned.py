"""Answers about usage of undeclared accounts, and about assigning it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, usd
from metering.answers.usage.events import MODEL_EXAMPLE
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.assigning import AssignmentResult, MovedUsage, UnassignedUsage

_MOVED = {
    "events": 1200,
    "unpriced_events": 0,
    "before_nano_usd": 1_056_000_000,
    "before_usd": "1.056000000",
    "after_nano_usd": 1_056_000_000,
    "after_usd": "1.056000000",
}
_GROUP = {"provider": "together", "model": MODEL_EXAMPLE, "month": "2026-11", "billed_in": "2026-11"}


class UnassignedUsageAnswer(Answer):
    """Usage under one undeclared account name, from one source."""

    name: str = Field(description="The account name in the records; empty for records without one.", examples=["acme-prod"])
    source: str = Field(description="The source of the records.", examples=["gateway-1"])
    first_time: str = instant_field("When its first request started")
    last_time: str = instant_field("When its last request started")
    events: int = Field(description="Number of requests.", examples=[1200])
    unpriced_events: int = Field(description="Number of requests without a price yet.", examples=[0])
    amount_nano_usd: int = nano_usd("Charges of the priced requests", 1_056_000_000)
    amount_usd: str = usd("Charges of the priced requests", "1.056000000")


class UnassignedUsagePage(Page):
    """A page of unassigned usage, by name and source."""

    items: list[UnassignedUsageAnswer] = Field(description="The usage.", examples=[[]])


class MovedUsageAnswer(Answer):
    """Requests that move to the account."""

    events: int = Field(description="Number of requests.", examples=[1200])
    unpriced_events: int = Field(description="Number of requests without a price in the account.", examples=[0])
    before_nano_usd: int = nano_usd("Their charges while unassigned", 1_056_000_000)
    before_usd: str = usd("Their charges while unassigned", "1.056000000")
    after_nano_usd: int = nano_usd("Their charges at the account's prices", 1_056_000_000)
    after_usd: str = usd("Their charges at the account's prices", "1.056000000")


class MovedGroupAnswer(MovedUsageAnswer):
    """Requests that move to the account, of one provider, model and month."""

    provider: str = Field(description="The provider that served them.", examples=["together"])
    model: str = Field(description="The model.", examples=[MODEL_EXAMPLE])
    month: str = Field(description="The month of the requests.", examples=["2026-11"])
    billed_in: str = Field(description="The month the account is billed for them in.", examples=["2026-11"])


class RepeatedUsageAnswer(Answer):
    """Requests that the account had counted before. Their charges are only reversed."""

    events: int = Field(description="Number of requests.", examples=[0])
    amount_nano_usd: int = nano_usd("Their charges while unassigned", 0)
    amount_usd: str = usd("Their charges while unassigned", "0.000000000")


class AssignmentAnswer(Answer):
    """What an assignment changed, or would change."""

    account: str = Field(description="The account the usage is assigned to.", examples=["acme"])
    applied: bool = Field(description="Whether it was written; false for a preview.", examples=[True])
    moved: list[MovedGroupAnswer] = Field(
        description="Requests that move to the account, by provider, model and months.", examples=[[{**_GROUP, **_MOVED}]]
    )
    total: MovedUsageAnswer = Field(description="All requests that move to the account.", examples=[_MOVED])
    repeats: RepeatedUsageAnswer = Field(
        description="Requests whose charges are only reversed, because the account had counted them before.",
        examples=[{"events": 0, "amount_nano_usd": 0, "amount_usd": "0.000000000"}],
    )
    conflicts: int = Field(
        description="Number of requests that stay unassigned, because the account has counted other content under their IDs.",
        examples=[0],
    )


def unassigned_usage_answer(usage: UnassignedUsage) -> UnassignedUsageAnswer:
    """Return usage under one undeclared account name."""
    return UnassignedUsageAnswer(
        name=usage.name,
        source=usage.source,
        first_time=format_instant(usage.first_time),
        last_time=format_instant(usage.last_time),
        events=usage.events,
        unpriced_events=usage.unpriced,
        **amount("amount", usage.amount_nano),
    )


def assignment_answer(account: str, result: AssignmentResult, *, applied: bool) -> AssignmentAnswer:
    """Return what assigning usage to ``account`` changed (``applied``) or would change."""
    groups = [
        MovedGroupAnswer.model_validate(
            {
                "provider": group.provider,
                "model": group.model,
                "month": format_month(group.month),
                "billed_in": format_month(group.billed_in),
                **_moved(moved),
            }
        )
        for group, moved in sorted(result.by_group.items())
    ]
    return AssignmentAnswer(
        account=account,
        applied=applied,
        moved=groups,
        total=MovedUsageAnswer.model_validate(_moved(result.total)),
        repeats=RepeatedUsageAnswer(events=result.repeats, **amount("amount", result.repeats_nano)),
        conflicts=result.conflicts,
    )


def _moved(moved: MovedUsage) -> Mapping[str, Any]:
    return {
        "events": moved.events,
        "unpriced_events": moved.unpriced,
        **amount("before", moved.before_nano),
        **amount("after", moved.after_nano),
    }

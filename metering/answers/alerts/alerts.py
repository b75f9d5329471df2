"""Answers about alerts."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from metering.answers.fields import Answer, Page, instant_field
from metering.domain.alerts.alerts import Alert
from metering.domain.instants import format_instant


class AlertAnswer(Answer):
    """An alert, raised exactly once."""

    id: int = Field(description="ID of the alert.", examples=[12])
    type: str = Field(description="The type of the alert.", examples=["price.changed"])
    subject: str = Field(description="What the alert is about.", examples=["price_table:17"])
    period: str = Field(description="The period it is about; empty for types without periods.", examples=[""])
    threshold: int = Field(description="The threshold that was reached; 0 for types without thresholds.", examples=[0])
    occurrence: int = Field(
        description="Its number within the period, from 1. It occurs again after a budget's amount changed or credits came in.",
        examples=[1],
    )
    account: str | None = Field(
        description="The account it is about; null if it is not about a single account.", examples=[None]
    )
    occurred_at: str = instant_field("When it happened")
    recorded_at: str = instant_field("When it was detected")
    data: dict[str, Any] = Field(
        description="Details, depending on the type.",
        examples=[{"source": "hf_router", "table_id": 17, "changes": 3}],
    )


class AlertPage(Page):
    """A page of alerts, newest first."""

    items: list[AlertAnswer] = Field(description="The alerts.", examples=[[]])


def alert_answer(alert: Alert, names: Mapping[int, str]) -> AlertAnswer:
    """Return an alert; ``names`` are account names by id."""
    return AlertAnswer(
        id=alert.id,
        type=alert.type,
        subject=alert.subject,
        period=alert.period,
        threshold=alert.threshold,
        occurrence=alert.occurrence + 1,
        account=None if alert.account_id is None else names.get(alert.account_id),
        occurred_at=format_instant(alert.occurred_at),
        recorded_at=format_instant(alert.recorded_at),
        data=json.loads(alert.data),
    )

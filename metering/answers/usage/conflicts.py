"""Answers about conflicting records."""

from collections.abc import Mapping

from pydantic import Field

from metering.answers.fields import Answer, Page, amount, instant_field, nano_usd, optional_instant, usd
from metering.answers.usage.events import MODEL_EXAMPLE, QUANTITIES_EXAMPLE
from metering.domain.instants import format_instant
from metering.domain.usage.completion import RequestFacts
from metering.domain.usage.conflicts import Conflict, ConflictDecision
from metering.domain.usage.events import QuantityGrade
from pricing.quantities import ALL_KINDS

_SIDE = {
    "time": "2026-11-03T10:15:00.000000Z",
    "provider": "together",
    "model": MODEL_EXAMPLE,
    "operation": "chat",
    "route": "routed",
    "status": 200,
    "failure": "",
    "quantities": QUANTITIES_EXAMPLE,
    "quantity_grade": "measured",
    "charge_nano_usd": 860_000,
    "charge_usd": "0.000860000",
}


class ConflictSideAnswer(Answer):
    """One of two records of a request."""

    time: str = instant_field("When the request started")
    provider: str = Field(description="The provider.", examples=["together"])
    model: str = Field(description="The model.", examples=[MODEL_EXAMPLE])
    operation: str = Field(description="The operation.", examples=["chat"])
    route: str = Field(description="The billing route.", examples=["routed"])
    status: int | None = Field(description="The HTTP status; null: not stated.", examples=[200])
    failure: str = Field(description="The error that the record states; empty for none.", examples=[""])
    quantities: dict[str, int] = Field(description="The quantities by kind, without zeros.", examples=[QUANTITIES_EXAMPLE])
    quantity_grade: str = Field(description="How the quantities are known.", examples=["measured"])
    charge_nano_usd: int | None = nano_usd("Its charge; null while unpriced")
    charge_usd: str | None = usd("Its charge; null while unpriced")


class ConflictAnswer(Answer):
    """A record that contradicts a counted event, side by side with it."""

    id: int = Field(description="ID of the conflict.", examples=[1])
    account: str = Field(description="The account.", examples=["acme"])
    source: str = Field(description="The source of the record.", examples=["gateway-1"])
    event_id: str = Field(description="The ID that both records have.", examples=["req_01"])
    received_at: str = instant_field("When the record arrived")
    differs_in: list[str] = Field(description="The fields that differ.", examples=[["quantities"]])
    counted: ConflictSideAnswer | None = Field(
        description="The event that counts now; null if it was withdrawn, or retired with its month.", examples=[_SIDE]
    )
    record: ConflictSideAnswer = Field(
        description="The record. Its charge is what it would cost at the prices known now.", examples=[_SIDE]
    )
    decision: ConflictDecision | None = Field(
        description="`accepted`: the record replaced the event. `dismissed`: the event stays. Null: open.", examples=[None]
    )
    reason: str = Field(description="The reason of the decision.", examples=[""])
    decided_by: str = Field(description="Who decided: the name of a key, or `cli`.", examples=[""])
    decided_at: str | None = instant_field("When it was decided; null: open")


class ConflictPage(Page):
    """A page of conflicts, oldest first."""

    items: list[ConflictAnswer] = Field(description="The conflicts.", examples=[[]])
    open: int = Field(description="Number of all open conflicts.", examples=[0])


def conflict_answer(conflict: Conflict, names: Mapping[int, str]) -> ConflictAnswer:
    """Return a conflict."""
    return ConflictAnswer(
        id=conflict.id,
        account=names[conflict.account_id],
        source=conflict.source,
        event_id=conflict.event_id,
        received_at=format_instant(conflict.received_at),
        differs_in=conflict.differs_in,
        counted=None if conflict.counted is None else _side(conflict.counted, conflict.counted_nano),
        record=_side(conflict.record, conflict.record_nano),
        decision=conflict.decision,
        reason=conflict.reason,
        decided_by=conflict.decided_by,
        decided_at=optional_instant(conflict.decided_at),
    )


def _side(facts: RequestFacts, charge_nano: int | None) -> ConflictSideAnswer:
    quantities = {kind: getattr(facts.quantities, kind) for kind in ALL_KINDS}
    return ConflictSideAnswer(
        time=format_instant(facts.time),
        provider=facts.provider,
        model=facts.model,
        operation=facts.operation,
        route=facts.route,
        status=facts.status,
        failure=facts.failure,
        quantities={kind: count for kind, count in quantities.items() if count},
        quantity_grade=QuantityGrade(facts.quantity_grade).name.lower(),
        **amount("charge", charge_nano),
    )

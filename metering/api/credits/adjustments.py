"""``/v1/adjustments``: amounts without an event, decided by somebody."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.api.fields import SIGNED_USD_PATTERN, AccountParameter, Answer, RequestModel, instant_field, nano_usd, usd
from metering.api.openapi import problems
from metering.domain.credits.adjustments import Adjustment
from metering.domain.instants import format_instant, format_month
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.adjust_account import adjust_account, list_adjustments
from metering.web import query
from metering.web.bodies import require_json
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.dollars import format_nano
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/adjustments", tags=["statements"])


class NewAdjustment(RequestModel):
    """What to adjust."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account; a bound key may leave it out.", examples=["acme"]
    )
    month: str = Field(max_length=10, description="The month that it is about (UTC).", examples=["2026-10"])
    amount_usd: str = Field(
        pattern=SIGNED_USD_PATTERN, description="How much more is owed, or with a minus less, in dollars.", examples=["-26.00"]
    )
    reference: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="Names the decision, so that sending it again adjusts nothing twice.",
        examples=["reconciliation-2026-10"],
    )
    reason: str = Field(
        min_length=1, max_length=MAX_NAME_LENGTH, description="Why; it stands on the statement.", examples=["agreed with us"]
    )


class AdjustmentAnswer(Answer):
    """An adjustment. It counts as usage of its month, for that month's credits too."""

    reference: str = Field(description="Names the decision.", examples=["reconciliation-2026-10"])
    month: str = Field(description="The month that it is about.", examples=["2026-10"])
    billing_month: str = Field(description="The statement on which it stands.", examples=["2026-11"])
    amount_nano_usd: int = nano_usd("How much more is owed", -26_000_000_000)
    amount_usd: str = usd("How much more is owed", "-26.000000000")
    reason: str = Field(description="Why.", examples=["agreed with us"])
    recorded_at: str = instant_field("When it was recorded")


class Adjustments(Answer):
    """An account's adjustments."""

    account: str = Field(description="The account.", examples=["acme"])
    items: list[AdjustmentAnswer] = Field(description="In the order in which they were recorded.", examples=[[]])


@router.get(
    "", operation_id="list_adjustments", summary="List adjustments", responses=problems("not_found", "account_required")
)
def get_adjustments(principal: Reader, service: ServiceNow, account: AccountParameter = None) -> Adjustments:
    """List what was adjusted of an account."""
    name = principal.find_account(service, account).name
    return Adjustments(account=name, items=[_answer(each) for each in list_adjustments(service.engine, name)])


@router.post(
    "",
    operation_id="adjust_account",
    summary="Adjust what an account owes",
    status_code=201,
    responses=problems(
        "not_found",
        "account_required",
        "already_exists",
        "invalid_time",
        "unsupported_media_type",
        "body_too_large",
        "not_json",
    ),
    dependencies=[Depends(require_json)],
)
def post_adjustment(principal: Admin, service: ServiceNow, body: NewAdjustment) -> AdjustmentAnswer:
    """Adjust what an account owes for a month. Where the month is closed it stands on the first open statement.

    The same `reference` with the same figures is answered with the first adjustment, with others it is refused.
    """
    name = principal.find_account(service, body.account).name
    now = service.clock()
    month = query.month("body.month", body.month, now)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    return _answer(adjust_account(service.engine, name, month, amount, reference=body.reference, reason=body.reason, now=now))


def _answer(each: Adjustment) -> AdjustmentAnswer:
    return AdjustmentAnswer(
        reference=each.reference,
        month=format_month(each.origin_month),
        billing_month=format_month(each.billing_month),
        amount_nano_usd=each.amount_nano,
        amount_usd=format_nano(each.amount_nano),
        reason=each.reason,
        recorded_at=format_instant(each.recorded_at),
    )

"""``/v1/adjustments``: amounts without an event, each with a reason."""

from fastapi import APIRouter, Depends
from pydantic import Field

from metering.answers.credits.adjustments import AdjustmentAnswer, AdjustmentPage, adjustment_answer
from metering.api.fields import SIGNED_USD_PATTERN, AccountParameter, RequestModel
from metering.api.openapi import problems
from metering.domain.usage.events import MAX_NAME_LENGTH
from metering.operations.credits.adjust_account import adjust_account, list_adjustments
from metering.web import query
from metering.web.bodies import require_json
from metering.web.pages import PageNow
from metering.web.principal import Admin, Reader, ServiceNow
from pricing.money import NANO_PER_USD, parse_usd

router = APIRouter(prefix="/v1/adjustments", tags=["statements"])


class NewAdjustment(RequestModel):
    """An adjustment to record."""

    account: str | None = Field(
        None, max_length=MAX_NAME_LENGTH, description="The account. Optional with a key bound to an account.", examples=["acme"]
    )
    month: str = Field(max_length=10, description="The month it is about (UTC).", examples=["2026-10"])
    amount_usd: str = Field(
        pattern=SIGNED_USD_PATTERN,
        description="How much more the account owes, in dollars; negative: less.",
        examples=["-26.00"],
    )
    reference: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="Identifies the adjustment: sending it again changes nothing.",
        examples=["reconciliation-2026-10"],
    )
    reason: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="The reason; the statement shows it.",
        examples=["agreed with Hugging Face"],
    )


@router.get(
    "",
    operation_id="list_adjustments",
    summary="List adjustments",
    responses=problems("not_found", "account_required", "invalid_cursor"),
)
def get_adjustments(principal: Reader, service: ServiceNow, page: PageNow, account: AccountParameter = None) -> AdjustmentPage:
    """List an account's adjustments, in the order they were recorded."""
    row = principal.find_account(service, account)
    question = ["adjustments", row.id]
    after = int(page.start(question, [0])[0])
    found = list_adjustments(service.engine, row.name, after=after, limit=page.rows)
    return page.of(
        AdjustmentPage,
        found,
        answer=lambda each: adjustment_answer(row.name, each),
        key=lambda each: [each.id],
        question=question,
        account=row.name,
    )


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
    """Adjust what an account owes for a month. If the month is closed, the first open statement shows the adjustment.

    The same `reference` with the same month and amount returns the first adjustment; a different month or amount is refused.
    """
    name = principal.find_account(service, body.account).name
    now = service.clock()
    month = query.month("body.month", body.month, now)
    amount = parse_usd(body.amount_usd, unit_per_usd=NANO_PER_USD)
    recorded = adjust_account(service.engine, name, month, amount, reference=body.reference, reason=body.reason, now=now)
    return adjustment_answer(name, recorded)
